"""The HTTP API of components: list, load, replace and remove sources, under authentication."""

import re
from collections.abc import Callable
from typing import Any

from flowmesh.apps.http.messages import Handle, Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Mounts, Setting
from flowmesh.apps.wiring.ports import COMPONENT, COMPONENT_SOURCE, MIDDLEWARE
from flowmesh.errors import Invalid

PATH = "/api/dynamic/components"
LOADED_MAX = 100
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


def mount_api(setting: Setting, mounts: Mounts, make: Callable[[str, str], Any]) -> None:
    """Add the routes behind the middleware that `api` names. Raises Invalid without one."""
    registry = setting.context.registry
    name = str(setting.config["api"])
    middleware = registry.get(MIDDLEWARE, name)
    if middleware is None or not getattr(middleware, "authenticates", False):
        raise setting.invalid(f"api names a middleware http.middleware.auth, not {name!r}")
    api = ComponentApi(setting, make)
    routes: dict[tuple[str, str], Handle] = {
        ("GET", PATH): api.list,
        ("POST", PATH): api.create,
        ("GET", f"{PATH}/{{id}}"): api.get,
        ("PUT", f"{PATH}/{{id}}"): api.put,
        ("DELETE", f"{PATH}/{{id}}"): api.delete,
    }
    for server in mounts.servers()[:1]:
        for (method, path), handle in routes.items():
            server.add(method, path, handle, middlewares=(middleware,))


class ComponentApi:
    """Components of the configuration can be replaced; those that were loaded also removed."""

    def __init__(self, setting: Setting, make: Callable[[str, str], Any]) -> None:
        self._setting = setting
        self._registry = setting.context.registry
        self._make = make
        self._loaded: dict[str, Any] = {}

    def list(self, _request: Request) -> Response:
        return json_response({"components": [each.document() for each in self._all().values()]})

    def get(self, request: Request) -> Response:
        return json_response(self._existing(request).document())

    async def create(self, request: Request) -> Response:
        """Load a source: 201, 409 for a taken id, 422 with every line that is not accepted."""
        body = request.json()
        given = body if isinstance(body, dict) else {}
        id, source = given.get("id"), given.get("source")
        if not isinstance(id, str) or not _ID.match(id) or not isinstance(source, str):
            text = "a component needs an id of letters, digits, . _ and -, and a source"
            raise HttpProblem(422, "VALIDATION_FAILED", text)
        if id in self._all() or self._registry.get(COMPONENT, id) is not None:
            raise HttpProblem(409, "COMPONENT_EXISTS", f"there is a component {id!r} already")
        if len(self._loaded) >= LOADED_MAX:
            text = f"an application loads at most {LOADED_MAX} components"
            raise HttpProblem(409, "COMPONENTS_FULL", text)
        made = await _accepted(lambda: self._started(id, source))
        self._loaded[id] = made
        self._registry.put(COMPONENT, id, made)
        return json_response(made.document(), 201)

    async def put(self, request: Request) -> Response:
        """Replace a source; calls of the old one end."""
        component = self._existing(request)
        body = request.json()
        source = body.get("source") if isinstance(body, dict) else None
        if not isinstance(source, str):
            raise HttpProblem(422, "VALIDATION_FAILED", "the body needs a source")
        await _accepted(lambda: component.replace(source))
        return json_response(component.document())

    async def delete(self, request: Request) -> Response:
        """Remove a loaded component; 409 for one that the configuration has."""
        component = self._existing(request)
        if component.name not in self._loaded:
            text = f"{component.name} is part of the configuration, and modules depend on it"
            raise HttpProblem(409, "COMPONENT_IN_USE", text)
        del self._loaded[component.name]
        self._registry.remove(COMPONENT, component.name)
        await component.stop()
        return Response(204, content_type=b"")

    async def _started(self, id: str, source: str) -> Any:
        made = self._make(id, source)
        await made.start()
        return made

    def _all(self) -> dict[str, Any]:
        configured = {each.name: each for each in self._registry.all(COMPONENT_SOURCE)}
        return {**configured, **self._loaded}

    def _existing(self, request: Request) -> Any:
        id = request.params["id"]
        found = self._all().get(id)
        if found is None:
            raise HttpProblem(404, "COMPONENT_NOT_FOUND", f"there is no component {id[:80]!r}")
        return found


async def _accepted(load: Callable[[], Any]) -> Any:
    """Load a source; one that is not accepted is 422 with its violations."""
    try:
        return await load()
    except Invalid as error:
        found = [{"field": e.field, "message": e.description} for e in error.violations]
        raise HttpProblem(422, error.reason, error.message, violations=found) from None
