"""The capabilities, the types and the schemas of SCIM that are served."""

from typing import Any

from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Operation
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.scim.groups import GROUP
from flowmesh.gateway.routes.scim.messages import BASE, SCIM, listed, scim_response, scim_route
from flowmesh.gateway.routes.scim.users import USER

_CORE = "urn:ietf:params:scim:schemas:core:2.0"
_NO = {"supported": False}
_CONFIG = {
    "schemas": [f"{_CORE}:ServiceProviderConfig"],
    "patch": {"supported": True},
    "bulk": {**_NO, "maxOperations": 0, "maxPayloadSize": 0},
    "filter": {"supported": True, "maxResults": 1_000},
    "changePassword": _NO,
    "sort": _NO,
    "etag": _NO,
    "authenticationSchemes": [
        {
            "type": "oauthbearertoken",
            "name": "API key",
            "description": "An API key with the permission `scim:<provider id>`.",
        }
    ],
}
_TYPES = [
    {
        "schemas": [f"{_CORE}:ResourceType"],
        "id": name,
        "name": name,
        "endpoint": f"/{name}s",
        "schema": schema,
    }
    for name, schema in (("User", USER), ("Group", GROUP))
]


def _attribute(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "multiValued": False,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **more,
    }


_SCHEMAS = [
    {
        "schemas": [f"{_CORE}:Schema"],
        "id": USER,
        "name": "User",
        "attributes": [
            _attribute("userName", required=True, uniqueness="server"),
            _attribute("externalId", caseExact=True),
            _attribute("displayName"),
            _attribute("name", "complex", subAttributes=[_attribute("formatted")]),
            _attribute("emails", "complex", multiValued=True, subAttributes=[_attribute("value")]),
            _attribute("active", "boolean"),
        ],
    },
    {
        "schemas": [f"{_CORE}:Schema"],
        "id": GROUP,
        "name": "Group",
        "attributes": [
            _attribute("displayName", required=True),
            _attribute("externalId", caseExact=True),
            _attribute("members", "complex", multiValued=True, subAttributes=[_attribute("value")]),
        ],
    },
]


async def get_scim_config(_backends: Backends, _request: Request) -> Response:
    return scim_response(_CONFIG)


async def list_scim_types(_backends: Backends, _request: Request) -> Response:
    return scim_response(listed(1, len(_TYPES), _TYPES))


async def list_scim_schemas(_backends: Backends, _request: Request) -> Response:
    return scim_response(listed(1, len(_SCHEMAS), _SCHEMAS))


ROUTES = tuple(
    scim_route(
        "GET",
        f"{BASE}/{path}",
        endpoint,
        Operation(
            tag=ADMINISTER,
            summary=summary,
            answers=(Answer(200, "A document of SCIM.", media_type=SCIM),),
        ),
    )
    for path, endpoint, summary in (
        ("ServiceProviderConfig", get_scim_config, "Show what of SCIM 2.0 is served"),
        ("ResourceTypes", list_scim_types, "List the types of SCIM that are served"),
        ("Schemas", list_scim_schemas, "List the schemas of SCIM that are served"),
    )
)
