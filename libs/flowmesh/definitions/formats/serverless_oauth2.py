"""`oauth2` authentication of Serverless Workflow: a token for the client itself, by RFC 6749, 4.4.

The program that is made of it answers what `flowmesh.executors.authentication` takes.
"""

from flowmesh.definitions.constant_parts import check_url
from flowmesh.definitions.formats.serverless_layout import At
from flowmesh.definitions.formats.serverless_values import unsupported
from flowmesh.definitions.model import Json
from flowmesh.definitions.reader import Reader

GRANT = "client_credentials"
ENCODING = "application/x-www-form-urlencoded"
# The first is what the standard takes where nothing is said.
CLIENT_AUTHENTICATIONS = ("client_secret_post", "client_secret_basic")
_TOKEN_ENDPOINT = "/oauth2/token"  # noqa: S105 - a path
# A client's own token has no user, and its issuer is not looked at.
NOT_TAKEN = ("username", "password", "subject", "actor", "issuers")


def oauth2_program(at: At, reader: Reader) -> str:
    """A program for `{"oauth2": …}`; empty where it is refused."""
    grant = reader.required_text("grant", GRANT)
    if grant and grant != GRANT:
        path = (*reader.path, "grant")
        unsupported(at.problems, f"the OAuth 2 grant {grant[:64]!r}", path, f"use {GRANT}")
        return ""
    parts = {"tokenUrl": _token_url(at, reader), **_client(at, reader)}
    scopes, audiences = reader.items("scopes"), reader.items("audiences")
    for key, items in (("scopes", scopes), ("audiences", audiences)):
        if not all(isinstance(item, str) and item.strip() for item in items):
            reader.wrong(key, "a list of texts")
    if scopes:
        parts["scope"] = f'({_program(at, scopes, reader, "scopes")}|join(" "))'
    if len(audiences) > 1:
        path = (*reader.path, "audiences")
        why = "the request of a token has one audience"
        unsupported(at.problems, "more than one audience", path, why)
    elif audiences:
        parts["audience"] = _program(at, audiences[0], reader, "audiences")
    request = reader.object("request")
    if (encoding := request.text("encoding") or ENCODING) != ENCODING:
        feature = f"the encoding {encoding[:64]!r} of token requests"
        unsupported(at.problems, feature, (*request.path, "encoding"))
    for key in NOT_TAKEN:
        if reader.raw(key):
            unsupported(at.problems, f"oauth2.{key}", (*reader.path, key))
    request.refuse_unknown()
    reader.refuse_unknown()
    return "{oauth2:{" + ",".join(f"{key}:{part}" for key, part in parts.items()) + "}}"


def _token_url(at: At, reader: Reader) -> str:
    """The address of the authority, and below it the path for tokens."""
    authority = reader.required_text("authority", "the http or https URI of the authority")
    begins = ("http://", "https://", "${", "{")
    if authority and not authority.lower().startswith(begins):
        reader.wrong("authority", "an http or https URI")
    elif "{" not in authority:
        check_url(authority, (*reader.path, "authority"), at.problems)
    endpoints = reader.object("endpoints")
    token = endpoints.text("token") or _TOKEN_ENDPOINT
    # A token is used until it ends and never shown to these.
    for key in ("revocation", "introspection"):
        endpoints.text(key)
    endpoints.refuse_unknown()
    base = at.expressions.uri(authority, (*reader.path, "authority"), at.names)
    below = at.expressions.uri(token, (*endpoints.path, "token"), at.names)
    return f'(({base}|rtrimstr("/"))+"/"+({below}|ltrimstr("/")))'


def _client(at: At, reader: Reader) -> dict[str, str]:
    if not reader.has("client"):
        reader.missing("client", "the id and the secret of the client")
        return {}
    client = reader.object("client")
    how = client.text("authentication") or CLIENT_AUTHENTICATIONS[0]
    if how not in CLIENT_AUTHENTICATIONS:
        path = (*client.path, "authentication")
        why = f"use one of {', '.join(CLIENT_AUTHENTICATIONS)}"
        unsupported(at.problems, f"the client authentication {how[:64]!r}", path, why)
    if client.raw("assertion"):
        path = (*client.path, "assertion")
        unsupported(at.problems, "the assertion of an OAuth 2 client", path)
    parts = {"clientAuthentication": f'"{how}"'} if how in CLIENT_AUTHENTICATIONS else {}
    for key, name in (("id", "clientId"), ("secret", "clientSecret")):
        value = client.required_text(key, f"the {key} of the client")
        parts[name] = _program(at, value, client, key)
    client.refuse_unknown()
    return parts


def _program(at: At, value: Json, reader: Reader, key: str) -> str:
    return at.expressions.program(value, (*reader.path, key), at.names)
