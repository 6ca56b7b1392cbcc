"""Entity tags of tenants: `ETag` in responses, `If-Match` in requests (RFC 9110)."""

from typing import Protocol

from flowmesh.gateway.http.parameters import RequestHeader
from flowmesh.gateway.http.requests import Headers, Request, Response
from flowmesh.gateway.routes.common import json_response

IF_MATCH = RequestHeader(
    "If-Match", "The `ETag` of the object as it was read; without it, no change is detected."
)


class Tagged(Protocol):
    """An object with an entity tag."""

    etag: str


def etag_of(request: Request) -> str:
    """Return the tag of the `If-Match` header; empty for none and for `*`."""
    stated = request.header(b"if-match").strip()
    return "" if stated == "*" else stated.removeprefix("W/").strip('"')


def tagged(value: Tagged, status: int = 200, headers: Headers = ()) -> Response:
    """Return an object with its tag as a header."""
    plain = json_response(value, status)
    tag = (b"etag", f'"{value.etag}"'.encode())
    return Response(plain.status, plain.body, plain.media_type, (tag, *headers))
