"""Routes about plugins and their catalogue."""

from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body
from flowmesh.gateway.http.parameters import FLAG, Query
from flowmesh.gateway.routes.agents import plugin_bodies as bodies
from flowmesh.gateway.routes.rpc_route import rpc_route

_PLUGINS = "/api/v1/plugins"
_PLUGIN = f"{_PLUGINS}/{{name}}"
_CONFIGURATION = {"host": "mail.example"}
_ACCEPTED = ["connect mail.example:25"]
_STARTS = (Answer(202, "Its agents start.", bodies.PluginValue),)
ROUTES = (
    rpc_route(
        "GET",
        "/api/v1/plugin-catalogue",
        pb.SearchPluginsRequest,
        tag=MANAGE,
        summary="Search the catalogue of plugins",
        query=(Query("query", "Words of name, summary or task types."),),
        answers=(Answer(200, "By name, the newest first.", bodies.CatalogueList),),
        errors=(409, 503),
    ),
    rpc_route(
        "GET",
        _PLUGINS,
        pb.ListPluginsRequest,
        tag=MANAGE,
        summary="List the plugins of the namespace",
        answers=(Answer(200, "Sorted by name.", bodies.PluginList),),
    ),
    rpc_route(
        "POST",
        _PLUGINS,
        pb.InstallPluginRequest,
        part="plugin",
        tag=MANAGE,
        summary="Install a plugin",
        description="A call that does not accept all permissions is refused and lists them.",
        body=Body(
            bodies.InstallBody,
            example={"name": "mail", "configuration": _CONFIGURATION, "accepted": _ACCEPTED},
        ),
        answers=_STARTS,
        errors=(404, 409, 429, 503),
    ),
    rpc_route(
        "GET",
        _PLUGIN,
        pb.GetPluginRequest,
        part="plugin",
        tag=MANAGE,
        summary="Get a plugin",
        answers=(Answer(200, "With its permissions and its state.", bodies.PluginValue),),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        f"{_PLUGIN}/page",
        pb.GetPluginPageRequest,
        tag=MANAGE,
        summary="Get the page of a panel",
        description="The console shows it in a frame without the origin and without a network.",
        answers=(Answer(200, "One HTML document.", bodies.PageValue),),
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{_PLUGIN}:read",
        pb.ReadTextRequest,
        tag=MANAGE,
        summary="Read native documents from a text with a format",
        description="The format runs in a process that can only compute. Nothing is stored.",
        body=Body(bodies.TextBody, example={"text": "step,type\\npack,noop\\n"}),
        answers=(Answer(200, "The documents.", bodies.DocumentList),),
        errors=(404, 429),
    ),
    rpc_route(
        "POST",
        f"{_PLUGIN}:configure",
        pb.ConfigurePluginRequest,
        part="plugin",
        tag=MANAGE,
        summary="Replace the configuration of a plugin",
        body=Body(
            bodies.ConfigureBody,
            example={"configuration": _CONFIGURATION, "accepted": _ACCEPTED},
        ),
        answers=_STARTS,
        errors=(404, 409),
    ),
    rpc_route(
        "POST",
        f"{_PLUGIN}:upgrade",
        pb.UpgradePluginRequest,
        part="plugin",
        tag=MANAGE,
        summary="Replace the version of a plugin",
        description="A version that fails its self-test goes back by itself.",
        body=Body(bodies.UpgradeBody, example={"version": "1.1.0"}),
        answers=_STARTS,
        errors=(404, 409, 503),
    ),
    rpc_route(
        "POST",
        f"{_PLUGIN}:pin",
        pb.PinPluginRequest,
        part="plugin",
        tag=MANAGE,
        summary="Refuse upgrades of a plugin, or admit them again",
        body=Body(bodies.PinBody, example={"pinned": True}),
        answers=(Answer(200, "With the pin.", bodies.PluginValue),),
        errors=(404,),
    ),
    rpc_route(
        "DELETE",
        _PLUGIN,
        pb.RemovePluginRequest,
        tag=MANAGE,
        summary="Remove a plugin",
        description="Refused while definitions use it; the error names them.",
        query=(Query("allProjects", "Of all projects.", FLAG),),
        answers=(Answer(204, "It is removed once its agents have ended."),),
        errors=(404, 409),
    ),
)
