"""Routes about module types: the forms of a builder, from the catalog of applications."""

import msgspec

from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Operation, Route
from flowmesh.gateway.http.parameters import FLAG, TEXT, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.apps.bodies import ModuleForm
from flowmesh.gateway.routes.common import json_response


async def list_module_schemas(_backends: Backends, request: Request) -> Response:
    from flowmesh.apps.catalog import DESCRIPTORS, STEPS
    from flowmesh.apps.catalog.schema import module_form

    known = {**DESCRIPTORS, **STEPS} if request.flag("steps") else DESCRIPTORS
    return json_response({kind: module_form(each) for kind, each in known.items()})


async def get_module_schema(_backends: Backends, request: Request) -> Response:
    from flowmesh.apps.catalog import DESCRIPTORS, STEPS, nearest_names
    from flowmesh.apps.catalog.schema import module_form

    known = {**DESCRIPTORS, **STEPS}
    kind = request.param("type")
    if kind not in known:
        near = nearest_names(kind, known)
        raise NotFound("MODULE_TYPE_NOT_FOUND", f"there is no module type {kind[:80]!r}{near}")
    return json_response(msgspec.to_builtins(module_form(known[kind])))


_SCHEMAS = "/api/v1/module-schemas"
ROUTES = (
    Route(
        "GET",
        _SCHEMAS,
        list_module_schemas,
        Operation(
            tag=MANAGE,
            summary="List the module types of applications",
            query=(Query("steps", "Also the types that only pipelines have.", FLAG),),
            answers=(Answer(200, "Forms by type.", dict[str, ModuleForm]),),
        ),
    ),
    Route(
        "GET",
        f"{_SCHEMAS}/{{type}}",
        get_module_schema,
        Operation(
            tag=MANAGE,
            summary="Get a module or step type of applications",
            path={"type": TEXT},
            answers=(Answer(200, "Its form.", ModuleForm),),
            errors=(404,),
        ),
    ),
)
