"""Authentication of HTTP requests: basic, bearer, an API key, OAuth 2 client credentials.

The result is passed to the worker's `authentication` executor part.
"""

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.formats.common import url_of
from flowmesh.definitions.reading.reader import Reader

# Members of `config` by type: required and optional ones.
SCHEMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "basic": (("username", "password"), ()),
    "bearer": (("token",), ()),
    "apiKey": (("value",), ("name", "in")),
    "oauth2": (("tokenUrl", "clientId", "clientSecret"), ("scope", "audience", "grantType")),
}
_PLACES = ("header", "query")


def authentication_of(reader: Reader) -> dict[str, Json]:
    kind = reader.raw("type")
    if not isinstance(kind, str) or kind not in SCHEMES:
        message = f"type must be one of {', '.join(SCHEMES)}"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, "type"))
        return {}
    config = reader.object("config")
    needed, more = SCHEMES[kind]
    found: dict[str, Json] = {"type": kind}
    for key in needed:
        if not config.has(key):
            config.missing(key, f"needed for {kind} authentication")
    for key in (*needed, *more):
        if value := config.text(key, most=limits.URL_CHARACTERS_MAX):
            found[key] = value
    if kind == "oauth2":
        url_of(config, "tokenUrl")
        grant = found.pop("grantType", "client_credentials")
        if grant != "client_credentials":
            message = f"the OAuth 2 grant {grant!r}; use client_credentials"
            config.problems.add("FEATURE_UNSUPPORTED", message, (*config.path, "grantType"))
    if found.get("in", "header") not in _PLACES:
        message = f"in must be one of {', '.join(_PLACES)}"
        config.problems.add("DEFINITION_INVALID", message, (*config.path, "in"))
    config.refuse_unknown()
    reader.refuse_unknown()
    return found
