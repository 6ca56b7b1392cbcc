"""Tests of applications: requests with expected answers, sent without a socket.

    app: app.yaml
    tests:
      - name: an order is stored
        requests:
          - {method: POST, path: /orders, body: {product: p-1}, expect: {status: 201}}
          - {path: /orders, expect: {status: 200, body: [{product: p-1}]}}

Every test starts the application anew. `expect.body` names the fields that are compared.
`save: {token: body.token}` keeps a part of an answer, and `${token}` stands for it in later
requests of the test. `within: 5` repeats a request until its answer is the expected one, for at
most so many seconds. `{advance: 1h}` among the requests moves the clock, which then stands still
and begins at `now` of the file. `upstreams` are stand-ins for called services; `received` of a test
compares what they were sent.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import yaml

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.http.messages import Request, Response
from flowmesh.apps.offline.advancing import advance, seconds_of
from flowmesh.apps.offline.calling import request_of
from flowmesh.apps.offline.checking import silent_log
from flowmesh.apps.offline.upstreams import Upstream, running
from flowmesh.apps.runtime.application import Application
from flowmesh.apps.scheduling.clock import Clock
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.jsontext.integers import is_whole

# Interval at which an awaited answer is asked for, and time in which messages reach upstreams.
POLL_S = 0.05
RECEIVED_S = 5.0

_FILE_KEYS = frozenset({"app", "tests", "settings", "environment", "modules", "upstreams", "now"})
_TEST_KEYS = frozenset({"name", "requests", "received"})
_REQUEST_KEYS = frozenset({"method", "path", "headers", "body", "expect", "save", "within"})
_ADVANCE_KEYS = frozenset({"advance"})
_EXPECT_KEYS = frozenset({"status", "body", "headers"})
_SAVED = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one test; `failure` is empty if it passed."""

    file: Path
    name: str
    failure: str


async def run_tests(file: Path, how: Loading, *, folder: Path | None = None) -> list[Result]:
    """Run the tests of a file. Raises Invalid if the file is not one of tests.

    The application is in `folder`, by default that of the file.
    """
    raw = _read(file)
    overlay = replace(
        how.overlay,
        settings={**how.overlay.settings, **(raw.get("settings") or {})},
        modules=[*how.overlay.modules, *(raw.get("modules") or ())],
    )
    environment = {**how.environment, **(raw.get("environment") or {})}
    how = replace(how, overlay=overlay, environment=environment, required=True)
    app = (folder or file.parent) / str(raw["app"])
    results = []
    for number, test in enumerate(raw["tests"], 1):
        name = str(test.get("name") or f"test {number}")
        async with running(raw.get("upstreams") or {}) as upstreams:
            urls = {each: upstream.url for each, upstream in upstreams.items()}
            here = replace(how, environment={**how.environment, **urls})
            failure = await _run(app, here, test, upstreams, _clock(raw))
        results.append(Result(file, name, failure))
    return results


def _read(file: Path) -> dict[str, Json]:
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise Invalid("APP_INVALID", f"{file} cannot be read as YAML") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("tests"), list) or "app" not in raw:
        raise Invalid("APP_INVALID", f"{file} needs `app`, a file, and `tests`, a list")
    _known(raw, _FILE_KEYS, str(file))
    for number, test in enumerate(raw["tests"]):
        _known(test, _TEST_KEYS, f"{file}: tests[{number}]")
        for request in test.get("requests") or ():
            place = f"{file}: tests[{number}]"
            _known(request, _ADVANCE_KEYS if "advance" in request else _REQUEST_KEYS, place)
            _known(request.get("expect") or {}, _EXPECT_KEYS, place)
    return raw


def _known(raw: Mapping[str, Json], keys: frozenset[str], place: str) -> None:
    for key in raw:
        if key not in keys:
            text = f"{place} has no key {key!r}; it may have {', '.join(sorted(keys))}"
            raise Invalid("APP_INVALID", text)


def _clock(raw: Mapping[str, Json]) -> Clock:
    """Return the clock of a test: one that stands still if the file moves it."""
    start = raw.get("now")
    if isinstance(start, datetime):
        return Clock((start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp())
    if start is not None:
        text = f"now is an instant such as 2026-03-01T08:00:00Z, not {start!r}"
        raise Invalid("APP_INVALID", text)
    requests = [each for test in raw["tests"] for each in test.get("requests") or ()]
    return Clock(time.time() if any("advance" in each for each in requests) else None)


async def _run(
    app: Path,
    how: Loading,
    test: Mapping[str, Json],
    upstreams: Mapping[str, Upstream],
    clock: Clock,
) -> str:
    document = load(app, how)
    application = Application(document, log=silent_log(document.name), clock=clock)
    await application.start(listen=False)
    saved: dict[str, str] = {}
    try:
        for number, each in enumerate(test.get("requests") or (), 1):
            each = _filled(each, saved)
            if "advance" in each:
                await advance(application, clock, seconds_of(each["advance"]))
                continue
            method, path = str(each.get("method") or "GET"), str(each.get("path") or "/")
            response, failure = await _answered(application, _request(method, path, each), each)
            if failure:
                return f"request {number}, {method} {path}: {failure}"
            for name, place in (each.get("save") or {}).items():
                saved[name] = _saved(response, str(place))
        until = time.monotonic() + RECEIVED_S
        failure = _unreceived(upstreams, test)
        while failure and time.monotonic() < until:
            await asyncio.sleep(POLL_S)
            failure = _unreceived(upstreams, test)
    finally:
        await application.stop()
    return failure


async def _answered(
    application: Application, request: Request, described: Mapping[str, Json]
) -> tuple[Response, str]:
    """Return the answer and its difference from the expected one, which may come later."""
    until = time.monotonic() + float(described.get("within") or 0)
    while True:
        response = await _whole(await application.call(request))
        failure = _difference(response, described.get("expect") or {})
        if not failure or time.monotonic() >= until:
            return response, failure
        await asyncio.sleep(POLL_S)


async def _whole(response: Response) -> Response:
    """Return an answer with its whole body."""
    if response.stream is not None:
        response.body = b"".join([chunk async for chunk in response.stream])
        response.stream = None
    return response


def _request(method: str, path: str, described: Mapping[str, Json]) -> Request:
    body = described.get("body")
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    headers = [f"{name}: {value}" for name, value in (described.get("headers") or {}).items()]
    return request_of(method, path, headers, b"" if body is None else content)


def _filled(value: Json, saved: Mapping[str, str]) -> Json:
    """Return a value with the saved parts in its texts."""
    if isinstance(value, str):
        return _SAVED.sub(lambda found: saved.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {key: _filled(each, saved) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, saved) for each in value]
    return value


def _saved(response: Response, place: str) -> str:
    """Return the part of an answer at `body.key.key` or `headers.name`; empty without one."""
    root, *keys = place.split(".")
    if root == "headers":
        wanted = ".".join(keys).lower().encode()
        return next((str(v, "latin-1") for k, v in response.headers if k == wanted), "")
    found: Json = orjson.loads(response.body)
    for key in keys:
        if isinstance(found, list) and is_whole(key):
            found = found[int(key)] if int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else orjson.dumps(found).decode()


def _unreceived(upstreams: Mapping[str, Upstream], test: Mapping[str, Json]) -> str:
    """Return the first difference between what upstreams got and what a test expects."""
    for name, expected in (test.get("received") or {}).items():
        upstream = upstreams.get(name)
        if upstream is None:
            return f"received.{name} is not one of the upstreams"
        if failure := _unequal(upstream.received, expected, f"received.{name}"):
            return failure
    return ""


def _difference(response: Response, expect: Mapping[str, Json]) -> str:
    text = response.body.decode("utf-8", "replace")
    status = expect.get("status")
    if status is not None and response.status != status:
        return f"status {response.status}, expected {status}; body {text[:200]}"
    headers = {str(k, "latin-1"): str(v, "latin-1") for k, v in response.headers}
    for name, value in (expect.get("headers") or {}).items():
        if headers.get(str(name).lower()) != str(value):
            return f"header {name} is {headers.get(str(name).lower())!r}, expected {value!r}"
    if "body" not in expect:
        return ""
    try:
        found = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        found = text
    return _unequal(found, expect["body"], "body")


def _unequal(found: Json, expected: Json, place: str) -> str:
    """Return the first difference; objects may have more fields than expected."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key not in found:
                return f"{place}.{key} is missing"
            if different := _unequal(found[key], value, f"{place}.{key}"):
                return different
        return ""
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return f"{place} has {len(found)} items, expected {len(expected)}"
        pairs = enumerate(zip(found, expected, strict=True))
        return next(
            (d for i, (one, two) in pairs if (d := _unequal(one, two, f"{place}[{i}]"))), ""
        )
    return "" if found == expected else f"{place} is {found!r}, expected {expected!r}"
