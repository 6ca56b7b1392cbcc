"""`call: http` and `call: openapi` of Serverless Workflow."""

from dataclasses import replace

from flowmesh.contract.json_value import Json
from flowmesh.definitions.constant_parts import check_basic, check_header, check_headers, check_url
from flowmesh.definitions.formats.common import METHODS
from flowmesh.definitions.formats.serverless.compiler import TaskContext
from flowmesh.definitions.formats.serverless.oauth2 import oauth2_program
from flowmesh.definitions.formats.serverless.values import JsonObject, unsupported
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader
from flowmesh.tasktypes.builtin.http import TIMEOUT_MS as HTTP_TIMEOUT_MS

ANSWERS = ("content", "response", "raw")
# Refused authentication schemes with the alternative.
_OTHER_SCHEMES = {
    "certificate": "use basic, bearer, oauth2 or oidc, or a proxy that has the certificate",
    "digest": "use basic, bearer, oauth2 or oidc",
}
# A secret that is a text is `username:password`, or the token.
_OF_SECRET = {
    "basic": '($secret|if type=="object" then {username,password} else split(":")'
    '|{username:.[0],password:(.[1:]|join(":"))} end)',
    "bearer": '{token:($secret|if type=="object" then .token else . end)}',
}


def compile_http(context: TaskContext) -> None:
    if not context.reader.has("with"):
        context.reader.missing("with", "method and endpoint of the request")
    given = context.reader.object("with")
    if not given.has("method"):
        given.missing("method", "get, post, put …")
    method = given.choice("method", METHODS, "GET")
    # The parts become members of one program, so that one evaluation makes the request.
    parts = {"uri": _endpoint(context, given)}
    _check_headers(context, given)
    for key in ("headers", "query", "body"):
        if given.has(key):
            parts[key] = _part(context, given.raw(key), given, key)
    if authentication := _authentication(context, given):
        parts["auth"] = authentication
    _send(context, given, {"op": "http", "method": method}, parts)


def compile_openapi(context: TaskContext) -> None:
    """Compile a call of an OpenAPI operation; its document is fetched when the task runs."""
    if not context.reader.has("with"):
        context.reader.missing("with", "document and operationId of the operation")
    given = context.reader.object("with")
    document = given.object("document")
    if not document.has("endpoint"):
        document.missing("endpoint", "the http or https URI of an OpenAPI document")
    document.text("name")
    if isinstance(document.raw("endpoint"), dict):
        endpoint = document.object("endpoint")
        if endpoint.has("authentication"):
            why = "documents are fetched without it: serve them where the worker has access"
            path = (*endpoint.path, "authentication")
            unsupported(context.problems, "authentication for an OpenAPI document", path, why)
    parts = {"document": _endpoint(context, document)}
    operation = given.required_text("operationId", "the id of an operation of the document")
    if given.has("parameters"):
        parts["parameters"] = _part(context, given.raw("parameters"), given, "parameters")
    if given.has("authentication") and (made := _signed(context, given)):
        parts["auth"] = made
    document.refuse_unknown()
    _send(context, given, {"op": "openapi", "operation": operation}, parts)


def _send(context: TaskContext, given: Reader, config: JsonObject, parts: dict[str, str]) -> None:
    """Add a node that sends a request and returns the part that `output` names."""
    answer = given.text("output") or "content"
    if answer not in ANSWERS:
        given.wrong("output", "one of " + ", ".join(ANSWERS))
    program = ",".join(f"{key}:{part}" for key, part in parts.items())
    config |= {
        "answer": answer,
        "redirect": given.flag("redirect", False),
        "request": {"jq": f"{{{program}}}"},
    }
    given.refuse_unknown()
    replace(context, limit_ms=context.limit_ms or HTTP_TIMEOUT_MS).work(config)


def _check_headers(context: TaskContext, given: Reader) -> None:
    """Check the constant headers of the request; expressions are not checked."""
    headers = given.raw("headers")
    if isinstance(headers, dict):
        constant = {name: "" if _computed(value) else value for name, value in headers.items()}
        known = {name: value for name, value in constant.items() if isinstance(name, str)}
        check_headers(known, (*given.path, "headers"), context.problems)


def _computed(value: Json) -> bool:
    return isinstance(value, str) and "${" in value


def _part(context: TaskContext, value: Json, reader: Reader, key: str) -> str:
    """Return a member of the request as a program."""
    path = (*reader.path, key)
    if key != "body" and not isinstance(value, dict | str):
        reader.wrong(key, "an object or an expression")
    return context.expressions.program(value, path, context.call_names)


def _endpoint(context: TaskContext, given: Reader) -> str:
    endpoint = given.raw("endpoint")
    if isinstance(endpoint, str):
        _check_endpoint(context, endpoint, (*given.path, "endpoint"))
        return context.expressions.uri(endpoint, (*given.path, "endpoint"), context.call_names)
    if not given.has("endpoint"):
        given.missing("endpoint", "a URI, or an object with one")
    holder = given.object("endpoint")
    given_one = isinstance(endpoint, dict)
    uri = holder.required_text("uri", "an http or https URI") if given_one else ""
    _check_endpoint(context, uri, (*holder.path, "uri"))
    return context.expressions.uri(uri, (*holder.path, "uri"), context.call_names)


def _check_endpoint(context: TaskContext, uri: str, path: Path) -> None:
    if uri and "{" not in uri:
        check_url(uri, path, context.problems)


def _authentication(context: TaskContext, given: Reader) -> str:
    """Return the program of the request's credentials; empty if there are none."""
    endpoint = given.raw("endpoint")
    if not isinstance(endpoint, dict):
        return ""
    holder = given.object("endpoint")
    holder.has("uri")
    made = _signed(context, holder)
    holder.refuse_unknown()
    return made


def _signed(context: TaskContext, holder: Reader) -> str:
    """Return the program of the member `authentication`."""
    policy = _policy(context, holder)
    if policy is None:
        return ""
    for scheme, instead in _OTHER_SCHEMES.items():
        if policy.has(scheme):
            path = (*policy.path, scheme)
            unsupported(context.problems, f"{scheme} authentication", path, instead)
    made = ""
    for scheme, members in (("basic", ("username", "password")), ("bearer", ("token",))):
        if policy.has(scheme):
            made = _credentials(context, policy.object(scheme), scheme, members)
    for scheme in ("oauth2", "oidc"):
        if policy.has(scheme):
            made = oauth2_program(context, policy.object(scheme), discovers=scheme == "oidc")
    policy.refuse_unknown()
    return made


def _policy(context: TaskContext, holder: Reader) -> Reader | None:
    named = holder.raw("authentication")
    if named is None:
        return None
    name = named
    if isinstance(named, dict):
        policy = holder.object("authentication")
        if "use" not in named:
            return policy
        name = policy.raw("use")
    known = context.compiler.use.authentications
    if not isinstance(name, str) or not isinstance(known.raw(name), dict):
        message = f"use.authentications has no {str(name)[:64]!r}"
        context.problems.add("DEFINITION_INVALID", message, (*holder.path, "authentication"))
        return None
    return known.object(name)


def _credentials(
    context: TaskContext, reader: Reader, scheme: str, members: tuple[str, ...]
) -> str:
    if reader.has("use"):
        return _of_secret(context, reader, scheme)
    for member in members:
        text = reader.required_text(member, "a text or an expression")
        if member == "username" and not _computed(text):
            check_basic(text, (*reader.path, member), context.problems)
        elif member == "token" and not _computed(text):
            check_header("Authorization", text, (*reader.path, member), context.problems)
    reader.refuse_unknown()
    return context.expressions.program(reader.value, reader.path, context.call_names)


def _of_secret(context: TaskContext, reader: Reader, scheme: str) -> str:
    """Return the program of credentials that are one secret."""
    name = reader.required_text("use", "the name of a secret in use.secrets")
    reader.refuse_unknown()
    if name and name not in context.expressions.secrets:
        message = f"use.secrets has no {name[:64]!r}"
        context.problems.add("DEFINITION_INVALID", message, (*reader.path, "use"))
    return _OF_SECRET[scheme].replace("$secret", f'$secrets["{name}"]')
