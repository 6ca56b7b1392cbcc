"""Checks of the constant parts of requests that would fail every attempt.

Each part is judged by the function of the executor that uses it at run time. Parts with a template
are judged when they are rendered. The executors are imported on first use: reading a definition
needs no HTTP client.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.definitions.model import Task
from flowmesh.definitions.problems import Path, Problems
from flowmesh.errors import FlowmeshError
from flowmesh.expressions.secrets import is_secret_reference

_INVALID = "DEFINITION_INVALID"
_HEADER = "HEADER_INVALID"
_FORM = "application/x-www-form-urlencoded"


def check_url(text: str, path: Path, problems: Problems) -> None:
    """Check the URL of a request, a callback or an authorization server: scheme, host and port."""
    if problems.checked or not is_constant(text):
        return
    from flowmesh.egress import check_url as judge

    _judge(partial(judge, text), path, problems)


def check_method(text: Json, path: Path, problems: Problems) -> None:
    if problems.checked or not isinstance(text, str):
        return
    from flowmesh.egress import check_method as judge

    _judge(partial(judge, text), path, problems)


def check_headers(given: Mapping[str, Json], path: Path, problems: Problems) -> None:
    """Check the header names and values of a request, each at its path."""
    if problems.checked or not given:
        return
    from flowmesh.egress import check_headers as judge

    _judge_each(given, judge, path, problems)


def check_http(task: Task, problems: Problems) -> None:
    """Check `http.request` and `webhook` except the address, which the formats check."""
    headers = task.config.get("headers") or {}
    check_headers(headers, task.at("headers"), problems)
    if not problems.checked:
        _check_authentication(task, problems)
        _check_form(task, headers, problems)


def _check_authentication(task: Task, problems: Problems) -> None:
    authentication = task.config.get("authentication") or {}

    def place(key: str) -> Path:
        return task.at("authentication", "config", key)

    match authentication.get("type"):
        case "basic":
            check_basic(authentication.get("username"), place("username"), problems)
        case "bearer":
            check_header("Authorization", authentication.get("token"), place("token"), problems)
        case "apiKey" if authentication.get("in") != "query":
            name = str(authentication.get("name") or "X-API-Key")
            if is_constant(name):
                check_header(name, "", place("name"), problems)
            check_header("X-API-Key", authentication.get("value"), place("value"), problems)


def check_basic(username: Json, path: Path, problems: Problems) -> None:
    """Check the user name of basic authentication."""
    if problems.checked or not is_constant(username):
        return
    from flowmesh.executors.http.authentication import basic_credentials

    _judge(partial(basic_credentials, username, ""), path, problems)


def check_header(name: str, value: Json, path: Path, problems: Problems) -> None:
    """Check one header, such as the header of a token."""
    if not problems.checked and is_constant(value):
        from flowmesh.egress import check_headers as judge

        _judge(partial(judge, {name: value}), path, problems)


def _check_form(task: Task, headers: Mapping[str, Json], problems: Problems) -> None:
    body = task.config.get("body")
    given = {name.lower(): str(value).lower() for name, value in headers.items()}
    is_form = given.get("content-type", "").startswith(_FORM)
    if not is_form or body is None or isinstance(body, str):
        return
    from flowmesh.executors.http.request import form_of

    _judge(partial(form_of, body), task.at("body"), problems)


def check_unary(task: Task, problems: Problems) -> None:
    """Check the target, the method and the metadata of `grpc.call`."""
    if problems.checked:
        return
    from flowmesh.executors.rpc.channels import check_metadata, host_and_port

    target = task.config.get("target")
    if target and is_constant(target):
        _judge(partial(host_and_port, str(target)), task.at("target"), problems)
    metadata = task.config.get("metadata") or {}
    _judge_each(metadata, check_metadata, task.at("metadata"), problems)
    _check_descriptors(task, problems)


def _check_descriptors(task: Task, problems: Problems) -> None:
    """Check that the descriptors contain the method and fit a constant request."""
    from base64 import b64decode

    from flowmesh.executors.rpc.descriptors import methods_in

    text = task.config.get("descriptors")
    try:
        descriptors = b64decode(text or "", validate=True)
    except ValueError:
        return  # which is noted already
    if not descriptors:
        return
    found: list[Any] = []
    place = task.at("descriptors")
    if not _judge(lambda: found.append(methods_in(descriptors)), place, problems):
        return
    name = str(task.config.get("method") or "")
    place = task.at("method")
    if not _judge(lambda: found.append(found[0].method(name)), place, problems):
        return
    request = task.config.get("request")
    if _is_constant_value(request):
        _judge(lambda: found[1].encoded(request), task.at("request"), problems)


def check_identifiers(task: Task, problems: Problems) -> None:
    """Check that constant identifiers of a statement are among those that the definition lists."""
    if problems.checked:
        return
    from flowmesh.executors.database import check_identifier

    for name, each in (task.config.get("identifiers") or {}).items():
        value, allowed = each["value"], each["of"]
        if value and allowed and is_constant(value):
            place = task.at("identifiers", name, "value")
            _judge(partial(check_identifier, name, value, allowed), place, problems)


def is_constant(value: Json) -> bool:
    """Return whether a text holds no template and stands for no secret."""
    return isinstance(value, str) and "{{" not in value and not is_secret_reference(value)


def _is_constant_value(value: Json) -> bool:
    if isinstance(value, dict):
        return all(is_constant(key) and _is_constant_value(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(_is_constant_value, value))
    return not isinstance(value, str) or is_constant(value)


def _judge_each(
    given: Mapping[str, Json],
    judge: Callable[[Mapping[str, str]], object],
    path: Path,
    problems: Problems,
) -> None:
    """Judge names and values one by one for their paths, then all of them together."""
    before = len(problems.found)
    constant = {name: value if is_constant(value) else "" for name, value in given.items()}
    known = {name: value for name, value in constant.items() if is_constant(name)}
    for name, value in known.items():
        _judge(partial(judge, {name: value}), (*path, name), problems)
    if len(problems.found) == before:
        _judge(partial(judge, known), path, problems)


def _judge(judge: Callable[[], object], path: Path, problems: Problems) -> bool:
    """Return whether `judge` raises nothing; note what it raises with its path."""
    from flowmesh.executors.failures import TaskFailure

    try:
        judge()
    except FlowmeshError as error:
        problems.add(error.reason if error.reason == _HEADER else _INVALID, error.message, path)
        return False
    except TaskFailure as failure:
        problems.add(str(failure.details.get("reason") or _INVALID), failure.message, path)
        return False
    return True
