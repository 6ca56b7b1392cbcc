"""A configuration that always fails is refused at registration, in every format."""

import json
from base64 import b64encode

import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2

from flowmesh.contract.json_value import Json
from flowmesh.definitions import compile_source
from flowmesh.errors import FlowmeshError

HEADERS = {
    "Host": "other.example",
    "Content-Length": "5",
    "Proxy-Authorization": "x",
    "bad name": "x",
    "X-Line": "a\r\nX-Two: b",
}
URLS = [
    "http://",
    "https:///orders",
    "http://service.example:99999/",
    "http://service.example:0/",
    "ftp://service.example/",
    "http://service.example:port/",
    "http://x y.example/",
    "http://xn--/",
    "http://256.256.256.256/",
    "http://a..example/",
    f"http://{'a' * 64}.example/",
]


def native(**spec: Json) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": "t"},
        "spec": spec,
    }


def in_native(request: Json) -> Json:
    return native(type="http", http={"method": "GET", **request})


def in_steps(request: Json) -> Json:
    return {"id": "w", "steps": [{"id": "a", "action": "http.request", "params": request}]}


def in_graph(request: Json) -> Json:
    node = {"id": "a", "type": "http", "name": "a", "data": {"method": "GET", **request}}
    return {"id": "w", "name": "w", "nodes": [node], "edges": []}


def in_serverless(request: Json) -> Json:
    given = {"method": "get", "endpoint": request["url"]}
    if "headers" in request:
        given["headers"] = request["headers"]
    document = {"dsl": "1.0.3", "namespace": "default", "name": "w", "version": "1.0.0"}
    return {"document": document, "do": [{"a": {"call": "http", "with": given}}]}


def in_states(request: Json) -> Json:
    parameters = {"ApiEndpoint": request["url"], "Method": request.get("method", "GET")}
    if "headers" in request:
        parameters["Headers"] = request["headers"]
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::http:invoke",
        "Parameters": parameters,
        "End": True,
    }
    return {"Comment": "w", "StartAt": "a", "States": {"a": state}}


FORMATS = {
    "native": (in_native, "http"),
    "steps": (in_steps, "steps[0].params"),
    "graph": (in_graph, "nodes[0].data"),
    "serverless": (in_serverless, "do[0].a.with"),
    "states": (in_states, "States.a.Parameters"),
}
every_format = pytest.mark.parametrize("name", FORMATS)


def refusals(document: Json) -> list[tuple[str, str]]:
    """Return code and place of every problem."""
    try:
        compile_source(json.dumps(document).encode())
    except FlowmeshError as error:
        return [(each.code, each.field) for each in error.violations]
    return []


def only(document: Json) -> tuple[str, str, str]:
    """Return code, place and message of the only problem."""
    with pytest.raises(FlowmeshError) as raised:
        compile_source(json.dumps(document).encode())
    (found,) = raised.value.violations
    return found.code, found.field, found.description


@every_format
def test_headers_that_cannot_be_sent_are_refused(name: str) -> None:
    """Each with HEADER_INVALID and its place."""
    write, path = FORMATS[name]
    document = write({"url": "http://service.example/", "headers": HEADERS})
    found = refusals(document)
    assert [code for code, _ in found] == ["HEADER_INVALID"] * len(HEADERS)
    key = "Headers" if name == "states" else "headers"
    assert f"{path}.{key}.Host" in [place.removeprefix("spec.") for _, place in found]


@every_format
@pytest.mark.parametrize("url", URLS)
def test_addresses_that_cannot_be_called_are_refused(name: str, url: str) -> None:
    """Without a host, with a port that is none, or of another scheme."""
    found = refusals(FORMATS[name][0]({"url": url}))
    assert [code for code, _ in found] == ["DEFINITION_INVALID"]


@pytest.mark.parametrize("name", ["native", "steps", "graph"])
def test_templates_stay_a_matter_of_the_run(name: str) -> None:
    """In an address and in a header's value."""
    root = "input" if name == "native" else "context"
    request = {
        "url": f"http://{{{{{root}.host}}}}:99999/",
        "headers": {"X-Given": f"{{{{{root}.header}}}}\n"},
    }
    assert refusals(FORMATS[name][0](request)) == []


def test_expressions_of_the_standards_stay_a_matter_of_the_run() -> None:
    """Those of Serverless Workflow in `${ }` and in URI templates, paths of Amazon States."""
    headers = {"X-Given": "${ .header }\n"}
    assert refusals(in_serverless({"url": "http://{host}:99999/", "headers": headers})) == []
    document = in_states({"url": "http://service.example/", "headers": {"Host.$": "$.host"}})
    parameters = document["States"]["a"]["Parameters"]
    parameters["ApiEndpoint.$"] = "$.url"
    del parameters["ApiEndpoint"]
    assert refusals(document) == []


def test_headers_are_bounded_together() -> None:
    """Headers above the limit of a request are refused at their object."""
    headers = {f"X-{number}": "x" for number in range(101)}
    code, place, message = only(in_native({"url": "http://service.example/", "headers": headers}))
    assert (code, place) == ("HEADER_INVALID", "http.headers")
    assert "at most 100 headers" in message


def test_a_method_that_is_none_is_refused() -> None:
    """Also if the standard allows any text."""
    document = in_states({"url": "http://service.example/", "method": "FETCH"})
    assert only(document)[1] == "States.a.Parameters.Method"


@pytest.mark.parametrize(
    ("kind", "config", "key"),
    [
        ("basic", {"username": "a:b", "password": "x"}, "username"),
        ("bearer", {"token": "a\nb"}, "token"),
        ("apiKey", {"name": "bad name", "value": "x"}, "name"),
        ("apiKey", {"value": "a\nb"}, "value"),
        (
            "oauth2",
            {"tokenUrl": "https://id.example:99999/", "clientId": "a", "clientSecret": "b"},
            "tokenUrl",
        ),
    ],
)
def test_an_authentication_that_cannot_be_sent_is_refused(
    kind: str, config: Json, key: str
) -> None:
    """Its values become a header or an address."""
    authentication = {"type": kind, "config": config}
    document = in_native({"url": "http://service.example/", "authentication": authentication})
    assert only(document)[1].endswith(f".config.{key}")


def test_a_form_is_an_object() -> None:
    """Its content type says that the body is one."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = {"method": "POST", "headers": headers, "url": "http://service.example/"}
    assert only(in_native({**request, "body": [1, 2]}))[1] == "http.body"
    assert refusals(in_native({**request, "body": {"a": 1}})) == []


def test_a_webhook_is_checked_like_a_request() -> None:
    """Its address and its headers."""
    hook = {"url": "http://service.example:99999/", "headers": {"Host": "x"}}
    found = refusals(native(type="webhook", webhook=hook))
    assert [code for code, _ in found] == ["DEFINITION_INVALID", "HEADER_INVALID"]


@pytest.mark.parametrize("key", ["onComplete", "onFailure", "onStep"])
def test_callbacks_go_to_addresses_that_can_be_called(key: str) -> None:
    """In step JSON and in graph JSON."""
    url = "https://hooks.example:99999/"
    graph = {**in_graph({"url": "http://service.example/"}), "webhooks": {key: url}}
    steps = {"id": "w", "webhooks": {key: url}, "steps": [{"id": "a"}]}
    assert [only(each)[1] for each in (steps, graph)] == [f"webhooks.{key}"] * 2


@pytest.mark.parametrize(
    "action", ["approval", "decision", "signal", "serverless.task", "states.task"]
)
def test_an_action_that_step_json_cannot_configure_is_refused(action: str) -> None:
    """Such a step has no configuration that the executor could run."""
    steps = {"id": "w", "steps": [{"id": "a", "action": action, "params": {}}]}
    code, place, message = only(steps)
    assert (code, place) == ("DEFINITION_INVALID", "steps[0].action")
    assert "http.request" in message


def unary(**changes: Json) -> Json:
    block = {"target": "service.example:443", "method": "grpc.health.v1.Health/Check", **changes}
    return native(type="grpc.call", grpc=block)


@pytest.mark.parametrize(
    "target", ["service.example", "service.example:99999", ":443", "a/b:443", "xn--:443"]
)
def test_a_grpc_target_is_host_and_port(target: str) -> None:
    """One with a template is judged when it is rendered."""
    assert only(unary(target=target))[1].endswith(".target")
    assert refusals(unary(target="{{input.target}}")) == []


@pytest.mark.parametrize(
    "name",
    [
        "grpc-timeout",
        "token-bin",
        "bad name",
        "X-Ünicode",
        "a!b",
        "User-Agent",
        "content-type",
        "TE",
    ],
)
def test_grpc_metadata_that_cannot_be_sent_is_refused(name: str) -> None:
    """With HEADER_INVALID and its place."""
    code, place, _ = only(unary(metadata={"x-request": "{{input.id}}", name: "x"}))
    assert (code, name in place) == ("HEADER_INVALID", True)


@pytest.mark.parametrize("value", ["a\tb", "ü", "a\x7f"])
def test_values_of_grpc_metadata_are_printable(value: str) -> None:
    """The library would refuse the whole call without naming the value."""
    code, place, _ = only(unary(metadata={"x-request": value}))
    assert (code, place.endswith(".x-request")) == ("HEADER_INVALID", True)


@pytest.mark.parametrize("text", ["####", "bm9u!ZQ==", "bm9uZQ="])
def test_descriptors_that_are_no_base64_are_one_problem(text: str) -> None:
    """Their bytes are not read any further."""
    assert len(refusals(unary(descriptors=text))) == 1


def test_descriptors_have_the_method_that_is_called() -> None:
    """A unary one, whose request a constant one fits."""
    files = descriptor_pb2.FileDescriptorSet()
    health_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    descriptors = b64encode(files.SerializeToString()).decode()
    request = {"service": "x"}
    assert refusals(unary(descriptors=descriptors, request=request)) == []
    wrong: dict[str, Json] = {
        "method": {"method": "grpc.health.v1.Health/Probe"},
        "request": {"request": {"servise": "x"}},
        "descriptors": {"descriptors": b64encode(b"none").decode()},
    }
    for place, change in wrong.items():
        changed = {"descriptors": descriptors, "request": request, **change}
        assert only(unary(**changed))[1].endswith(f".{place}")
    stream = {"method": "grpc.health.v1.Health/Watch", "descriptors": descriptors}
    assert "only unary methods" in only(unary(**stream))[2]


def test_a_constant_identifier_is_among_those_listed() -> None:
    """One with a template is judged when it is rendered."""

    def ordered(value: str) -> Json:
        block = {
            "connection": "main",
            "statement": "select id from orders order by :sort",
            "identifiers": {"sort": {"value": value, "of": ["id", "total"]}},
        }
        return native(type="db.query", db=block)

    assert refusals(ordered("{{input.sort}}")) == refusals(ordered("total")) == []
    code, place, message = only(ordered("paid"))
    assert (code, place.endswith("identifiers.sort.value")) == ("SQL_FORBIDDEN", True)
    assert "not one of id, total" in message
