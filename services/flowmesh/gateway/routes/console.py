"""The console: its pages, their assets, and the session that they belong to.

Every page is the same document, which reads its own address. Pages are public, as they hold no
data; all of it comes from the API.
"""

import asyncio
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Literal
from urllib.parse import urlsplit

from msgspec import UNSET, UnsetType

from flowmesh.access.principal import current
from flowmesh.api.identity.v1 import auth_service_pb2 as auth
from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Shape
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.bodies.identity_answers import MeAnswer, me_answer
from flowmesh.gateway.http.operation_docs import MANAGE, PATH_PARAMETER, Answer, Operation, Route
from flowmesh.gateway.http.parameters import REST_PATH
from flowmesh.gateway.http.requests import Headers, Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.telemetry.export import VERSION
from flowmesh.views import instant

_BUNDLE = "flowmesh.console"
_PAGE = "index.html"
_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}
_COMPRESSED = frozenset({"html", "js", "css", "svg", "txt"})
# Nothing inline, nothing of another host, no code out of text.
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    b" font-src 'self'; connect-src 'self'%b; worker-src 'self'; base-uri 'none';"
    b" form-action 'self'; frame-src 'self'; frame-ancestors 'none';"
    b" require-trusted-types-for 'script'; trusted-types workers"
)
_SECURE: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"vary", b"accept-encoding"),
)
# The name of an asset holds the digest of its content.
_ASSET_HEADERS: Headers = ((b"cache-control", b"public, max-age=31536000, immutable"), *_SECURE)

# The document of a frame for the panel of a plugin: it shows the page that the console hands to it,
# has no origin, and reaches nothing but the console by messages.
# Policies of browsers do not cover WebRTC, so the page does not get it.
_FRAME = b"""<!doctype html>
<script>
for (const each of Object.getOwnPropertyNames(self)) if (/RTC/.test(each)) delete self[each];
addEventListener("message", (event) => {
  if (event.source !== parent || typeof event.data?.page !== "string") return;
  document.open();
  document.write(event.data.page);
  document.close();
});
parent.postMessage({ flowmesh: 1, type: "empty" }, "*");
</script>
"""
_FRAME_POLICY = (
    b"sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src"
    b" 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'self'"
)
_FRAME_HEADERS: Headers = (
    (b"content-security-policy", _FRAME_POLICY),
    (b"cache-control", b"no-cache"),
    (b"x-dns-prefetch-control", b"off"),
    *_SECURE,
)

# Paths of pages without a prefix; those of the step-JSON API are pages to browsers only.
PLAIN_PATHS = (
    "/",
    "/executions",
    "/executions/{executionId}",
    "/executions/{executionId}/debug",
    "/executions/{executionId}/rerun",
    "/workflows",
    "/workflows/new",
    "/workflows/{workflowId}",
    "/workflows/{workflowId}/edit",
    "/apps",
    "/apps/new",
    "/apps/{app}",
    "/apps/{app}/edit",
    "/tasks",
    "/templates",
    "/approvals",
    "/triggers",
    "/queues",
    "/workers",
    "/agents",
    "/plugins",
    "/cells",
    "/dead-letters",
    "/bulk",
    "/services",
    "/access",
    "/audit",
    "/projects",
    "/secrets",
    "/messages",
    "/streams",
    "/styleguide",
    "/dashboards",
    "/observe",
    "/observe/dashboards",
    "/visualization",
    "/visualization/galaxy",
    "/visualization/grid",
    "/visualization/topology",
    "/settings",
    "/login",
    "/device",
    "/authorize",
)


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the bundle, with its compressed form where that is smaller."""

    media_type: str
    data: bytes
    zipped: bytes
    tag: str


class ConsoleSession(Shape, kw_only=True):
    """The caller as the console needs it; `me` is present in a closed installation only.

    `codec_server` is the URL of the installation, with the place of the namespace in it.
    """

    auth: Literal["open", "closed"]
    version: str
    time: Instant
    me: MeAnswer | UnsetType = UNSET
    codec_server: str | UnsetType = UNSET


async def get_session(backends: Backends, _request: Request) -> Response:
    """Answer with the caller; a closed installation has refused one without credentials."""
    session = ConsoleSession(auth="open", version=VERSION, time=instant(backends.clock.now_us()))
    if backends.codec_server:
        session.codec_server = backends.codec_server
    if current() is not None:
        session.auth = "closed"
        session.me = me_answer(await backends.auth.GetMe(auth.GetMeRequest()))
    return json_response(session)


async def console_page(backends: Backends, request: Request) -> Response:
    return await _served(request, _PAGE, _page_headers(backends.codec_server))


async def panel_frame(_backends: Backends, _request: Request) -> Response:
    return Response(HTTPStatus.OK, _FRAME, _MEDIA_TYPES["html"], _FRAME_HEADERS)


async def console_asset(_backends: Backends, request: Request) -> Response:
    name = request.param("asset")
    if name not in _asset_names():
        text = "The console has no such file; a newer version may be served, so reload the page."
        raise NotFound("ROUTE_NOT_FOUND", text)
    return await _served(request, f"assets/{name}", _ASSET_HEADERS)


async def _served(request: Request, name: str, headers: Headers) -> Response:
    file = await asyncio.to_thread(_file, name)
    headers = (*headers, (b"etag", file.tag.encode()))
    if request.header(b"if-none-match") == file.tag:
        return Response(HTTPStatus.NOT_MODIFIED, headers=headers)
    if file.zipped and "gzip" in request.header(b"accept-encoding"):
        headers = (*headers, (b"content-encoding", b"gzip"))
        return Response(HTTPStatus.OK, file.zipped, file.media_type, headers)
    return Response(HTTPStatus.OK, file.data, file.media_type, headers)


@cache
def _page_headers(codec_server: str) -> Headers:
    """Return the headers of a page, which may call the codec server."""
    parts = urlsplit(codec_server)
    origin = f" {parts.scheme}://{parts.netloc}" if codec_server else ""
    policy = _POLICY % origin.encode()
    return ((b"content-security-policy", policy), (b"cache-control", b"no-cache"), *_SECURE)


@cache
def _asset_names() -> frozenset[str]:
    folder = resources.files(_BUNDLE) / "assets"
    return frozenset(each.name for each in folder.iterdir() if each.is_file())


@cache
def _file(name: str) -> _File:
    data = resources.files(_BUNDLE).joinpath(name).read_bytes()
    suffix = name.rpartition(".")[2]
    return _File(
        media_type=_MEDIA_TYPES.get(suffix, "application/octet-stream"),
        data=data,
        zipped=gzip.compress(data, mtime=0) if suffix in _COMPRESSED else b"",
        tag=f'"{hashlib.sha256(data).hexdigest()[:32]}"',
    )


def _page_route(path: str) -> Route:
    words = path.replace("{", "").replace("}", "").replace("-", "/").strip("/").split("/")
    if path.endswith("/") and path != "/":
        words.append("slash")
    return Route(
        "GET",
        path,
        console_page,
        Operation(
            tag=MANAGE,
            summary="Get a page of the console",
            # A page reports a name that does not exist itself.
            path=dict.fromkeys(PATH_PARAMETER.findall(path), REST_PATH),
            answers=(
                Answer(200, "An HTML page.", None, "text/html"),
                Answer(304, "The page is unchanged."),
            ),
        ),
        alias="page" + "".join(word.capitalize() for word in words),
        public=True,
        page=True,
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/console/session",
        get_session,
        Operation(
            tag=MANAGE,
            summary="Get the caller, the version and the time of the server",
            answers=(Answer(200, "The session.", ConsoleSession),),
        ),
    ),
    Route(
        "GET",
        "/console/assets/{asset}",
        console_asset,
        Operation(
            tag=MANAGE,
            summary="Get a file of the console",
            path={"asset": REST_PATH},
            answers=(
                Answer(
                    200,
                    "A script, a style sheet, a font or a picture.",
                    media_types=tuple(kind.partition(";")[0] for kind in _MEDIA_TYPES.values()),
                ),
                Answer(304, "The file is unchanged."),
            ),
            errors=(404,),
        ),
        public=True,
    ),
    Route(
        "GET",
        "/console/panel-frame",
        panel_frame,
        Operation(
            tag=MANAGE,
            summary="Get the empty frame of panels of plugins",
            answers=(Answer(200, "An HTML page.", None, "text/html"),),
        ),
        public=True,
    ),
    *map(_page_route, ("/console", "/console/", "/console/{path}", *PLAIN_PATHS)),
)
