"""`call: http` and `call: openapi` of Serverless Workflow."""

from dataclasses import replace

from flowmesh.definitions.constant_parts import check_basic, check_header, check_headers, check_url
from flowmesh.definitions.formats.common import METHODS
from flowmesh.definitions.formats.serverless.layout import At
from flowmesh.definitions.formats.serverless.oauth2 import oauth2_program
from flowmesh.definitions.formats.serverless.values import Made, unsupported
from flowmesh.definitions.model import Json
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader
from flowmesh.plan import HTTP_TIMEOUT_MS

ANSWERS = ("content", "response", "raw")
# What is refused, and what to do instead.
_OTHER_SCHEMES = {
    "certificate": "use basic, bearer, oauth2 or oidc, or a proxy that has the certificate",
    "digest": "use basic, bearer, oauth2 or oidc",
}
# A text is `username:password`, or the token.
_OF_SECRET = {
    "basic": '($secret|if type=="object" then {username,password} else split(":")'
    '|{username:.[0],password:(.[1:]|join(":"))} end)',
    "bearer": '{token:($secret|if type=="object" then .token else . end)}',
}


def lay_http(at: At) -> None:
    if not at.reader.has("with"):
        at.reader.missing("with", "method and endpoint of the request")
    given = at.reader.object("with")
    if not given.has("method"):
        given.missing("method", "get, post, put …")
    method = given.choice("method", METHODS, "GET")
    # The parts become the members of one program, so that one evaluation makes the request.
    parts = {"uri": _endpoint(at, given)}
    _check_headers(at, given)
    for key in ("headers", "query", "body"):
        if given.has(key):
            parts[key] = _part(at, given.raw(key), given, key)
    if authentication := _authentication(at, given):
        parts["auth"] = authentication
    _send(at, given, {"op": "http", "method": method}, parts)


def lay_openapi(at: At) -> None:
    """An operation of a document that is fetched when the task runs."""
    if not at.reader.has("with"):
        at.reader.missing("with", "document and operationId of the operation")
    given = at.reader.object("with")
    document = given.object("document")
    if not document.has("endpoint"):
        document.missing("endpoint", "the http or https URI of an OpenAPI document")
    document.text("name")
    if isinstance(document.raw("endpoint"), dict):
        endpoint = document.object("endpoint")
        if endpoint.has("authentication"):
            why = "documents are fetched without: serve it where the worker may read it"
            path = (*endpoint.path, "authentication")
            unsupported(at.problems, "authentication for an OpenAPI document", path, why)
    parts = {"document": _endpoint(at, document)}
    operation = given.required_text("operationId", "the id of an operation of the document")
    if given.has("parameters"):
        parts["parameters"] = _part(at, given.raw("parameters"), given, "parameters")
    if given.has("authentication") and (made := _signed(at, given)):
        parts["auth"] = made
    document.refuse_unknown()
    _send(at, given, {"op": "openapi", "operation": operation}, parts)


def _send(at: At, given: Reader, config: Made, parts: dict[str, str]) -> None:
    """The task as a node that sends a request and answers as `output` says."""
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
    replace(at, limit_ms=at.limit_ms or HTTP_TIMEOUT_MS).work(config)


def _check_headers(at: At, given: Reader) -> None:
    """Of the request as it is written: an expression may be anything."""
    headers = given.raw("headers")
    if isinstance(headers, dict):
        constant = {name: "" if _computed(value) else value for name, value in headers.items()}
        known = {name: value for name, value in constant.items() if isinstance(name, str)}
        check_headers(known, (*given.path, "headers"), at.problems)


def _computed(value: Json) -> bool:
    return isinstance(value, str) and "${" in value


def _part(at: At, value: Json, reader: Reader, key: str) -> str:
    """A member of the request as a program."""
    path = (*reader.path, key)
    if key != "body" and not isinstance(value, dict | str):
        reader.wrong(key, "an object or an expression")
    return at.expressions.program(value, path, at.call_names)


def _endpoint(at: At, given: Reader) -> str:
    endpoint = given.raw("endpoint")
    if isinstance(endpoint, str):
        _check_endpoint(at, endpoint, (*given.path, "endpoint"))
        return at.expressions.uri(endpoint, (*given.path, "endpoint"), at.call_names)
    if not given.has("endpoint"):
        given.missing("endpoint", "a URI, or an object with one")
    holder = given.object("endpoint")
    given_one = isinstance(endpoint, dict)
    uri = holder.required_text("uri", "an http or https URI") if given_one else ""
    _check_endpoint(at, uri, (*holder.path, "uri"))
    return at.expressions.uri(uri, (*holder.path, "uri"), at.call_names)


def _check_endpoint(at: At, uri: str, path: Path) -> None:
    if uri and "{" not in uri:
        check_url(uri, path, at.problems)


def _authentication(at: At, given: Reader) -> str:
    """The program of what the request is signed with; empty where it is not."""
    endpoint = given.raw("endpoint")
    if not isinstance(endpoint, dict):
        return ""
    holder = given.object("endpoint")
    holder.has("uri")
    made = _signed(at, holder)
    holder.refuse_unknown()
    return made


def _signed(at: At, holder: Reader) -> str:
    """The program of the member `authentication`."""
    policy = _policy(at, holder)
    if policy is None:
        return ""
    for scheme, instead in _OTHER_SCHEMES.items():
        if policy.has(scheme):
            path = (*policy.path, scheme)
            unsupported(at.problems, f"{scheme} authentication", path, instead)
    made = ""
    for scheme, members in (("basic", ("username", "password")), ("bearer", ("token",))):
        if policy.has(scheme):
            made = _credentials(at, policy.object(scheme), scheme, members)
    for scheme in ("oauth2", "oidc"):
        if policy.has(scheme):
            made = oauth2_program(at, policy.object(scheme), discovers=scheme == "oidc")
    policy.refuse_unknown()
    return made


def _policy(at: At, holder: Reader) -> Reader | None:
    named = holder.raw("authentication")
    if named is None:
        return None
    policy = holder.object("authentication") if isinstance(named, dict) else None
    name = policy.raw("use") if policy is not None else named
    if name is None:
        return policy
    known = at.compiler.use.authentications
    if not isinstance(name, str) or not isinstance(known.raw(name), dict):
        message = f"use.authentications has no {str(name)[:64]!r}"
        at.problems.add("DEFINITION_INVALID", message, (*holder.path, "authentication"))
        return None
    return known.object(name)


def _credentials(at: At, reader: Reader, scheme: str, members: tuple[str, ...]) -> str:
    if reader.has("use"):
        return _of_secret(at, reader, scheme)
    for member in members:
        text = reader.required_text(member, "a text or an expression")
        if member == "username" and not _computed(text):
            check_basic(text, (*reader.path, member), at.problems)
        elif member == "token" and not _computed(text):
            check_header("Authorization", text, (*reader.path, member), at.problems)
    reader.refuse_unknown()
    return at.expressions.program(reader.value, reader.path, at.call_names)


def _of_secret(at: At, reader: Reader, scheme: str) -> str:
    """The program of credentials that are a secret as a whole."""
    name = reader.required_text("use", "the name of a secret in use.secrets")
    reader.refuse_unknown()
    if name and name not in at.expressions.secrets:
        message = f"use.secrets has no {name[:64]!r}"
        at.problems.add("DEFINITION_INVALID", message, (*reader.path, "use"))
    return _OF_SECRET[scheme].replace("$secret", f'$secrets["{name}"]')
