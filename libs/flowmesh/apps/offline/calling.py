"""Calls of an application without a socket."""

from collections.abc import Sequence
from pathlib import Path

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.http.messages import Request, Response
from flowmesh.apps.offline.checking import silent_log
from flowmesh.apps.pipeline.starting import run_with
from flowmesh.apps.runtime.application import Application
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, NotFound


def request_of(method: str, target: str, headers: Sequence[str] = (), body: bytes = b"") -> Request:
    """Return a request of text parts. Raises Invalid."""
    if not target.startswith("/"):
        raise Invalid("REQUEST_INVALID", f"the path {target!r} must begin with /")
    path, _, query = target.partition("?")
    pairs: list[tuple[bytes, bytes]] = []
    for each in headers:
        name, colon, value = each.partition(":")
        if not colon:
            raise Invalid("REQUEST_INVALID", f"the header {each!r} must be `Name: value`")
        pairs.append((name.strip().lower().encode("latin-1"), value.strip().encode()))
    request = Request(
        method=method.upper(), path=path, headers=pairs, raw_query=query.encode(), client="local"
    )
    request.body = body
    return request


async def called(
    path: Path,
    how: Loading,
    *,
    method: str,
    target: str,
    headers: Sequence[str] = (),
    body: bytes = b"",
    server: str = "",
) -> Response:
    """Start an application without listening, send one request, and stop it."""
    document = load(path, how)
    application = Application(document, log=silent_log(document.name))
    await application.start(listen=False)
    try:
        response = await application.call(request_of(method, target, headers, body), server)
        if response.stream is not None:
            response.body = b"".join([chunk async for chunk in response.stream])
        return response
    finally:
        await application.stop()


async def pipeline_run(path: Path, how: Loading, *, name: str, data: dict[str, Json]) -> Json:
    """Start an application without listening, run a pipeline once, and stop it.

    Raises NotFound for an unknown pipeline, and HttpProblem if it fails.
    """
    document = load(path, how)
    application = Application(document, log=silent_log(document.name))
    program = application.built.programs.get(name)
    if program is None:
        known = ", ".join(application.built.programs) or "none"
        raise NotFound("PIPELINE_NOT_FOUND", f"unknown pipeline {name!r}; known: {known}")
    await application.start(listen=False)
    try:
        return await run_with(program, data)
    finally:
        await application.stop()
