"""`oauth2` and `oidc` of Serverless Workflow: a client's own token, RFC 6749, 4.4.

The resulting program returns the input of `flowmesh.executors.http.authentication`.
"""

from flowmesh.contract.json_value import Json
from flowmesh.definitions.constant_parts import check_url
from flowmesh.definitions.formats.serverless.compiler import TaskContext
from flowmesh.definitions.formats.serverless.values import unsupported
from flowmesh.definitions.reading.reader import Reader

GRANT = "client_credentials"
ENCODING = "application/x-www-form-urlencoded"
# The first is the default of the standard.
CLIENT_AUTHENTICATIONS = ("client_secret_post", "client_secret_basic")
_TOKEN_ENDPOINT = "/oauth2/token"  # noqa: S105 - a path
# Path of an authority's configuration: OpenID Connect Discovery 1.0, 4.
_DISCOVERY = "/.well-known/openid-configuration"
# A client's own token has no user, and its issuer is not checked.
NOT_TAKEN = ("username", "password", "subject", "actor", "issuers")


def oauth2_program(context: TaskContext, reader: Reader, *, discovers: bool = False) -> str:
    """Return the program of `{"oauth2": …}`; empty if it is refused.

    With `oidc` the authority publishes its token endpoint.
    """
    if reader.has("use"):
        why = "name the parts of it: secret: ${ $secrets.name }"
        unsupported(context.problems, "a secret that is a whole policy", (*reader.path, "use"), why)
        return ""
    grant = reader.required_text("grant", GRANT)
    if grant and grant != GRANT:
        path = (*reader.path, "grant")
        unsupported(context.problems, f"the OAuth 2 grant {grant[:64]!r}", path, f"use {GRANT}")
        return ""
    address = _discovery_url(context, reader) if discovers else _token_url(context, reader)
    parts = {**address, **_client(context, reader)}
    scopes, audiences = reader.items("scopes"), reader.items("audiences")
    for key, items in (("scopes", scopes), ("audiences", audiences)):
        if not all(isinstance(item, str) and item.strip() for item in items):
            reader.wrong(key, "a list of texts")
    if scopes:
        parts["scope"] = f'({_program(context, scopes, reader, "scopes")}|join(" "))'
    if len(audiences) > 1:
        path = (*reader.path, "audiences")
        why = "the request of a token has one audience"
        unsupported(context.problems, "more than one audience", path, why)
    elif audiences:
        parts["audience"] = _program(context, audiences[0], reader, "audiences")
    request = reader.object("request")
    if (encoding := request.text("encoding") or ENCODING) != ENCODING:
        feature = f"the encoding {encoding[:64]!r} of token requests"
        unsupported(context.problems, feature, (*request.path, "encoding"), f"use {ENCODING}")
    for key in NOT_TAKEN:
        if reader.raw(key):
            why = "a token is that of the client itself"
            unsupported(context.problems, f"oauth2.{key}", (*reader.path, key), why)
    request.refuse_unknown()
    reader.refuse_unknown()
    return "{oauth2:{" + ",".join(f"{key}:{part}" for key, part in parts.items()) + "}}"


def _authority(context: TaskContext, reader: Reader) -> str:
    """Return the program of the authority's address without a trailing slash."""
    authority = reader.required_text("authority", "the http or https URI of the authority")
    begins = ("http://", "https://", "${", "{")
    if authority and not authority.lower().startswith(begins):
        reader.wrong("authority", "an http or https URI")
    elif "{" not in authority:
        check_url(authority, (*reader.path, "authority"), context.problems)
    base = context.expressions.uri(authority, (*reader.path, "authority"), context.call_names)
    return f'({base}|rtrimstr("/"))'


def _discovery_url(context: TaskContext, reader: Reader) -> dict[str, str]:
    """Return the address of the authority's configuration, which the authority may be written
    as.
    """
    program = f'({_authority(context, reader)}|rtrimstr("{_DISCOVERY}")+"{_DISCOVERY}")'
    return {"discoveryUrl": program}


def _token_url(context: TaskContext, reader: Reader) -> dict[str, str]:
    """Return the address of the authority, and the path of its token endpoint."""
    base = _authority(context, reader)
    endpoints = reader.object("endpoints")
    token = endpoints.text("token") or _TOKEN_ENDPOINT
    # A token is used until it expires and never sent to these endpoints.
    for key in ("revocation", "introspection"):
        endpoints.text(key)
    endpoints.refuse_unknown()
    below = context.expressions.uri(token, (*endpoints.path, "token"), context.call_names)
    return {"tokenUrl": f'({base}+"/"+({below}|ltrimstr("/")))'}


def _client(context: TaskContext, reader: Reader) -> dict[str, str]:
    if not reader.has("client"):
        reader.missing("client", "the id and the secret of the client")
        return {}
    client = reader.object("client")
    how = client.text("authentication") or CLIENT_AUTHENTICATIONS[0]
    if how not in CLIENT_AUTHENTICATIONS:
        path = (*client.path, "authentication")
        why = f"use one of {', '.join(CLIENT_AUTHENTICATIONS)}"
        unsupported(context.problems, f"the client authentication {how[:64]!r}", path, why)
    if client.raw("assertion"):
        path = (*client.path, "assertion")
        why = "the client shows its secret"
        unsupported(context.problems, "the assertion of an OAuth 2 client", path, why)
    parts = {"clientAuthentication": f'"{how}"'} if how in CLIENT_AUTHENTICATIONS else {}
    for key, name in (("id", "clientId"), ("secret", "clientSecret")):
        value = client.required_text(key, f"the {key} of the client")
        parts[name] = _program(context, value, client, key)
    client.refuse_unknown()
    return parts


def _program(context: TaskContext, value: Json, reader: Reader, key: str) -> str:
    return context.expressions.program(value, (*reader.path, key), context.call_names)
