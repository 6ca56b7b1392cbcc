"""Tests of applications: requests with expected answers, sent without a socket.

    app: app.yaml
    tests:
      - name: an order is stored
        requests:
          - {method: POST, path: /orders, body: {product: p-1}, expect: {status: 201}}
          - {path: /orders, expect: {status: 200, body: [{product: p-1}]}}

Every test starts the application anew. `expect.body` names the fields that are compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import yaml

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.host.application import Application
from flowmesh.apps.http.messages import Response
from flowmesh.apps.offline.calling import request_of
from flowmesh.apps.offline.checking import silent_log
from flowmesh.errors import Invalid

Json = Any

_FILE_KEYS = frozenset({"app", "tests", "settings", "environment"})
_REQUEST_KEYS = frozenset({"method", "path", "headers", "body", "expect"})
_EXPECT_KEYS = frozenset({"status", "body", "headers"})


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one test; `failure` is empty if it passed."""

    file: Path
    name: str
    failure: str


async def run_tests(file: Path, how: Loading) -> list[Result]:
    """Run the tests of a file. Raises Invalid if the file is not one of tests."""
    raw = _read(file)
    overlay = replace(how.overlay, settings={**how.overlay.settings, **(raw.get("settings") or {})})
    environment = {**how.environment, **(raw.get("environment") or {})}
    how = replace(how, overlay=overlay, environment=environment, required=True)
    app = file.parent / str(raw["app"])
    results = []
    for number, test in enumerate(raw["tests"], 1):
        name = str(test.get("name") or f"test {number}")
        results.append(Result(file, name, await _run(app, how, test)))
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
        for request in test.get("requests") or ():
            place = f"{file}: tests[{number}]"
            _known(request, _REQUEST_KEYS, place)
            _known(request.get("expect") or {}, _EXPECT_KEYS, place)
    return raw


def _known(raw: Mapping[str, Json], keys: frozenset[str], place: str) -> None:
    for key in raw:
        if key not in keys:
            text = f"{place} has no key {key!r}; it may have {', '.join(sorted(keys))}"
            raise Invalid("APP_INVALID", text)


async def _run(app: Path, how: Loading, test: Mapping[str, Json]) -> str:
    document = load(app, how)
    application = Application(document, log=silent_log(document.name))
    await application.start(listen=False)
    try:
        for number, each in enumerate(test.get("requests") or (), 1):
            body = each.get("body")
            content = body.encode() if isinstance(body, str) else orjson.dumps(body)
            method, path = str(each.get("method") or "GET"), str(each.get("path") or "/")
            headers = [f"{name}: {value}" for name, value in (each.get("headers") or {}).items()]
            request = request_of(method, path, headers, b"" if body is None else content)
            response = await application.call(request)
            if failure := _difference(response, each.get("expect") or {}):
                return f"request {number}, {method} {path}: {failure}"
    finally:
        await application.stop()
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
