"""The OpenAPI document and its page, with all assets of the page, and the AsyncAPI document."""

import asyncio
import hashlib
from functools import cache
from http import HTTPStatus
from importlib import util
from pathlib import Path

import msgspec

from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Operation, Route
from flowmesh.gateway.http.requests import Request, Response

_PACKAGE = "swagger_ui"
_ASSETS = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}
_START = (
    'SwaggerUIBundle({url: "/openapi.json", dom_id: "#page", deepLinking: true,'
    " validatorUrl: null, displayRequestDuration: true});"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flowmesh API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/swagger/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/swagger/swagger-ui-bundle.js"></script>
<script src="/swagger/start.js"></script>
</body>
</html>
"""
# The page shows names chosen by users; it may load only from this server.
_POLICY = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; "
        b"style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
)
_CACHED = ((b"cache-control", b"public, max-age=3600"), (b"x-content-type-options", b"nosniff"))


async def openapi(_backends: Backends, _request: Request) -> Response:
    return Response(HTTPStatus.OK, _document())


async def asyncapi(_backends: Backends, _request: Request) -> Response:
    return Response(HTTPStatus.OK, _events_document())


async def root(_backends: Backends, _request: Request) -> Response:
    return Response(HTTPStatus.FOUND, headers=((b"location", b"/swagger"),))


async def swagger(_backends: Backends, _request: Request) -> Response:
    return Response(HTTPStatus.OK, _PAGE.encode(), "text/html; charset=utf-8", _POLICY)


async def swagger_asset(_backends: Backends, request: Request) -> Response:
    name = request.param("asset")
    if name == "start.js":
        return Response(HTTPStatus.OK, _START.encode(), _ASSETS["swagger-ui-bundle.js"], _CACHED)
    folder = _assets_folder()
    if name not in _ASSETS or folder is None:
        raise NotFound("ROUTE_NOT_FOUND", "The page has no such asset.")
    data = await asyncio.to_thread((folder / name).read_bytes)
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = (*_CACHED, (b"etag", tag.encode()))
    if request.header(b"if-none-match") == tag:
        return Response(HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(HTTPStatus.OK, data, _ASSETS[name], headers)


@cache
def _document() -> bytes:
    # Imported on first use: most processes never need its memory.
    from flowmesh.gateway.openapi import document

    return msgspec.json.encode(document())


@cache
def _events_document() -> bytes:
    from flowmesh.gateway.asyncapi import document

    return msgspec.json.encode(document())


def _assets_folder() -> Path | None:
    """Return the folder of the assets in the wheel, without importing the package."""
    spec = util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "static"


ROUTES = (
    Route(
        "GET",
        "/",
        root,
        Operation(
            tag=MANAGE,
            summary="Redirect to the API page",
            answers=(Answer(302, "Found.", None),),
        ),
        public=True,
    ),
    Route(
        "GET",
        "/openapi.json",
        openapi,
        Operation(
            tag=MANAGE,
            summary="Get this document",
            answers=(Answer(200, "OpenAPI 3.1.", dict),),
        ),
        public=True,
    ),
    Route(
        "GET",
        "/asyncapi.json",
        asyncapi,
        Operation(
            tag=MANAGE,
            summary="Get the description of all events",
            answers=(Answer(200, "AsyncAPI 3.0.", dict),),
        ),
        public=True,
    ),
    Route(
        "GET",
        "/swagger",
        swagger,
        Operation(
            tag=MANAGE,
            summary="Get the API page",
            answers=(Answer(200, "An HTML page that can call the API.", None, "text/html"),),
        ),
        public=True,
    ),
    Route(
        "GET",
        "/swagger/{asset}",
        swagger_asset,
        Operation(
            tag=MANAGE,
            summary="Get an asset of the API page",
            answers=(
                Answer(
                    200, "A style sheet or a script.", media_types=("text/javascript", "text/css")
                ),
                Answer(304, "The asset is unchanged."),
            ),
            errors=(404,),
        ),
        public=True,
    ),
)
