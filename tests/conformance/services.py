"""Local services for the examples and scenarios of Serverless Workflow."""

import base64
import re
from types import TracebackType
from typing import Self

from aiohttp import web

from flowmesh.contract.json_value import Json

PET = {"id": 1, "name": "Rex", "status": "available"}
# The called operations; addresses without a host are those of the document itself.
PETSTORE = {
    "swagger": "2.0",
    "basePath": "/petstore.swagger.io/v2",
    "paths": {
        "/pet/findByStatus": {"get": {"operationId": "findPetsByStatus", "parameters": [
            {"name": "status", "in": "query", "required": True, "type": "array"}]}},
        "/pet/{petId}": {"get": {"operationId": "getPetById", "parameters": [
            {"name": "petId", "in": "path", "required": True, "type": "integer"}]}},
    },
}  # fmt: skip
ORDERS = {
    "openapi": "3.0.3",
    "servers": [{"url": "/myorg.io"}],
    "paths": {
        "/readings": {"post": {"operationId": "logreading"}},
        "/report": {"post": {"operationId": "produceReport"}},
    },
}
_CLIENT = ("workflow-runtime-id", "workflow-runtime-secret")
_SECRET = base64.b64encode(b"serverless-workflow:conformance-test").decode()


class Services:
    """One server for all hosts; the host of a URL becomes the first part of its path."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None
        self.address = ""

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", _answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def local(self, value: Json, key: str = "") -> Json:
        """Return the document with its endpoints on this server."""
        if isinstance(value, dict):
            return {name: self.local(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.local(item, key) for item in value]
        if key in ("authority", "endpoint", "uri") and isinstance(value, str):
            return re.sub("^https?://", f"{self.address}/", value)
        return value


async def _answer(request: web.Request) -> web.Response:
    host, _, path = request.match_info["path"].partition("/")
    if host == "httpbin.org":
        allowed = request.headers.get("Authorization") == f"Basic {_SECRET}"
        return web.json_response({"authenticated": allowed}, status=200 if allowed else 401)
    if path.endswith("/.well-known/openid-configuration"):
        base = f"{request.scheme}://{request.host}/keycloak/realms/fake-authority"
        return web.json_response({"token_endpoint": f"{base}/auth/token"})
    if path.endswith("swagger.json"):
        return web.json_response(PETSTORE)
    if path == "ordersservices.json":
        return web.json_response(ORDERS)
    if (host, path) == ("keycloak", "realms/fake-authority/auth/token"):
        form = await request.post()
        known = (form["client_id"], form["client_secret"]) == _CLIENT
        return web.json_response({"access_token": "token"}, status=200 if known else 401)
    if host == "petstore.swagger.io":
        return _petstore(path)
    if host == "swapi.dev" and path.startswith("api/people/") and path != "api/people/":
        world = f"{request.scheme}://{request.host}/swapi.dev/api/planets/1"
        return web.json_response({"name": "Luke Skywalker", "homeworld": world})
    return web.json_response({"path": path, "query": dict(request.query)})


def _petstore(path: str) -> web.Response:
    name = path.removeprefix("v2/pet/")
    if name == "findByStatus":
        return web.json_response([PET])
    if name.isdigit():
        return web.json_response({**PET, "id": int(name)})
    return web.json_response({"message": "Pet not found"}, status=404)
