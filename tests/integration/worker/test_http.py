"""The HTTP executors against a real server: what goes out, what comes back, how it fails."""

import gzip
import json
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest

from flowmesh.api.definition.v1.plan_pb2 import DIALECT_NATIVE, DIALECT_STEPS
from flowmesh.egress import OPEN, Egress
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.http.request import http_executor, webhook_executor
from flowmesh.testing.world import Call, World
from tests.integration.worker.orchestrator import spec_of, task_of

NOW_US = 1_700_000_000_000_000


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    async with Egress(OPEN) as egress:
        yield egress


class Http:
    """Runs one attempt of a configuration."""

    def __init__(self, executor: Executor, task_type: str) -> None:
        self._executor = executor
        self._task_type = task_type

    async def __call__(
        self,
        config: dict[str, Any],
        value: Any = None,
        *,
        dialect: int = DIALECT_NATIVE,
        timeout_ms: int = 5_000,
        **fields: Any,
    ) -> Output:
        spec = spec_of(self._task_type, config, dialect=dialect)
        step = self._executor(spec, config)
        assert isinstance(step, Step)
        task = task_of("t1", spec, value, **fields)
        return await step.run(Attempt(task, orjson.dumps(value), timeout_ms))

    async def fails(self, *arguments: Any, **keywords: Any) -> TaskFailure:
        with pytest.raises(TaskFailure) as failed:
            await self(*arguments, **keywords)
        return failed.value


@pytest.fixture
def http(egress: Egress) -> Http:
    return Http(http_executor(egress, lambda: NOW_US), "http.request")


@pytest.fixture
def webhook(egress: Egress) -> Http:
    return Http(webhook_executor(egress, lambda: NOW_US), "webhook")


async def only_call(world: World, route: str) -> Call:
    [call] = world.calls(route)
    return call


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get"]
)
async def test_every_method_is_sent(world: World, http: Http, method: str) -> None:
    """The method of the step is the method of the request."""
    await http({"method": method, "url": world.url("any")})
    assert (await only_call(world, "any")).method == method.upper()


async def test_templates_fill_url_headers_and_body(world: World, http: Http) -> None:
    """Strings, numbers and objects land in a JSON text as JSON, in urls percent-encoded."""
    config = {
        "method": "POST",
        "url": world.url("pay") + "/{{input.id}}?q={{input.q}}",
        "headers": {"Authorization": "Bearer {{input.apiKey}}", "X-Number": "{{input.amount}}"},
        "body": '{"amount": {{input.amount}}, "note": "{{input.note}}", "order": {{input.order}}}',
    }
    value = {
        "id": "a/b",
        "q": "x&y=1",
        "apiKey": "k",
        "amount": 12.5,
        "note": 'say "hi"',
        "order": {"n": 1},
    }
    world.answers("pay")
    await http(config, value)
    call = await only_call(world, "pay")
    assert call.query == {"q": "x&y=1"}
    assert call.headers["authorization"] == "Bearer k"
    assert call.headers["x-number"] == "12.5"
    assert call.headers["content-type"] == "application/json"
    assert call.json == {"amount": 12.5, "note": 'say "hi"', "order": {"n": 1}}


async def test_an_object_body_is_sent_as_json_with_types_kept(world: World, http: Http) -> None:
    """A whole-reference member keeps its type at any depth."""
    config = {"method": "POST", "url": world.url("a"), "body": {"list": ["{{input.n}}"], "s": "x"}}
    await http(config, {"n": 3})
    assert (await only_call(world, "a")).json == {"list": [3], "s": "x"}


async def test_a_text_body_is_sent_as_it_is_written(world: World, http: Http) -> None:
    """Other bodies are plain text unless a content type says otherwise."""
    await http({"method": "POST", "url": world.url("a"), "body": "hi {{input.n}}"}, {"n": "Ada"})
    call = await only_call(world, "a")
    assert (call.text, call.headers["content-type"]) == ("hi Ada", "text/plain; charset=utf-8")


async def test_a_form_body_is_encoded(world: World, http: Http) -> None:
    """An object body under the form content type becomes a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = {"a": "{{input.a}}", "b": "1 2"}
    await http(
        {"method": "POST", "url": world.url("a"), "headers": headers, "body": body}, {"a": "x&y"}
    )
    assert (await only_call(world, "a")).text == "a=x%26y&b=1+2"


async def test_what_is_no_text_is_json_in_a_form(world: World, http: Http) -> None:
    """Lists repeat their name, null is empty, and objects are whole."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = {"a": True, "b": None, "c": [1, False, None], "d": {"x": {"y": 1}}, "e": [{"z": 2.5}]}
    await http({"method": "POST", "url": world.url("a"), "headers": headers, "body": body})
    sent = parse_qsl((await only_call(world, "a")).text, keep_blank_values=True)
    assert sent == [
        ("a", "true"), ("b", ""), ("c", "1"), ("c", "false"), ("c", ""), ("d", '{"x":{"y":1}}'),
        ("e", '{"z":2.5}'),
    ]  # fmt: skip


async def test_a_step_without_body_sends_the_context(world: World, http: Http) -> None:
    """The execution's context, results of earlier steps included, goes out as JSON."""
    context = {"orderId": "o-1", "extract": {"users": [1]}}
    config = {"method": "POST", "url": world.url("load"), "send_context": True}
    await http(config, context, dialect=DIALECT_STEPS)
    call = await only_call(world, "load")
    assert call.json == context
    assert call.headers["content-type"] == "application/json"


async def test_step_templates_read_the_context_and_results(world: World, http: Http) -> None:
    """`context.<step>` is the output, and also answers to `.result`."""
    config = {
        "method": "POST",
        "url": world.url("a"),
        "body": {"id": "{{context.fetch.result.id}}", "same": "{{context.fetch.id}}"},
    }
    await http(config, {"fetch": {"id": 7}}, dialect=DIALECT_STEPS)
    assert (await only_call(world, "a")).json == {"id": 7, "same": 7}


async def test_a_missing_reference_is_a_validation_error(world: World, http: Http) -> None:
    """Nothing is sent when a template refers to what is not there."""
    failure = await http.fails({"url": world.url("a") + "/{{input.nope}}"}, {})
    assert failure.class_ == "ValidationError"
    assert "nope" in failure.message
    assert world.calls() == []


async def test_each_attempt_carries_key_and_trace(world: World, http: Http) -> None:
    """Idempotency-Key and traceparent go out unless the step sets them."""
    trace = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    await http({"url": world.url("a")}, idempotency_key="k1", traceparent=trace)
    await http(
        {"url": world.url("b"), "headers": {"idempotency-key": "mine"}}, idempotency_key="k1"
    )
    call = await only_call(world, "a")
    assert (call.key, call.headers["traceparent"]) == ("k1", trace)
    assert (await only_call(world, "b")).key == "mine"


async def test_answers_become_values_by_their_content_type(world: World, http: Http) -> None:
    """JSON is the parsed body, XML an object, text a string, nothing null."""
    world.answers("json", json={"email": "a@b"}, headers={"X-Request": "7"})
    world.answers("problem", json=[1], content_type="application/vnd.api+json")
    world.answers("xml", xml="<user id='7'><tag>a</tag><tag>b</tag><name>Ada</name></user>")
    world.answers("text", text="plain")
    world.answers("none", status=204)
    world.answers("latin", body="é".encode("latin-1"), content_type="text/plain; charset=latin-1")
    output = await http({"url": world.url("json")})
    assert output.parsed() == {"email": "a@b"}
    described = orjson.loads(output.metadata)["http"]
    assert (described["status"], described["headers"]["x-request"]) == (200, "7")
    assert (await http({"url": world.url("problem")})).parsed() == [1]
    xml = await http({"url": world.url("xml")})
    assert orjson.loads(xml.data) == {"user": {"@id": "7", "tag": ["a", "b"], "name": "Ada"}}
    assert (await http({"url": world.url("text")})).parsed() == "plain"
    assert (await http({"url": world.url("none")})).data == b"null"
    assert (await http({"url": world.url("latin")})).parsed() == "é"


async def test_numbers_of_an_answer_are_kept_or_refused(world: World, http: Http) -> None:
    """An integer of 64 bits is passed on as it came; a larger one fails the attempt."""
    body = b'{"n": 12345678901234567890}'
    world.answers("a", body=body)
    assert (await http({"url": world.url("a")})).data == body
    world.answers("b", body=b'{"n": 123456789012345678901234567890}')
    assert (await http.fails({"url": world.url("b")})).class_ == "ValidationError"


async def test_an_answer_that_is_not_what_it_says_fails(world: World, http: Http) -> None:
    """Broken or over-deep JSON is a ValidationError, never an internal one."""
    world.answers("broken", body=b"{nope")
    world.answers("deep", body=b"[" * 70 + b"]" * 70)
    world.answers("deeper", body=b"[" * 100_000)
    for route in ("broken", "deep", "deeper"):
        assert (await http.fails({"url": world.url(route)})).class_ == "ValidationError"


@pytest.mark.parametrize(
    ("status", "class_"),
    [
        (400, "ClientError"),
        (401, "AuthenticationError"),
        (403, "AuthenticationError"),
        (404, "ClientError"),
        (408, "Timeout"),
        (422, "ClientError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (503, "ServerError"),
    ],
)
async def test_a_status_of_400_and_above_fails_by_class(
    world: World, http: Http, status: int, class_: str
) -> None:
    """The class says whether a retry can help; details hold status, headers and body."""
    world.answers("a", status=status, json={"why": "because"})
    failure = await http.fails({"url": world.url("a")})
    assert failure.class_ == class_
    assert failure.details["http"]["status"] == status
    assert json.loads(failure.details["http"]["body"]) == {"why": "because"}


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [("3", 3_000), ("Tue, 14 Nov 2023 22:13:25 GMT", 5_000), ("soon", 0), ("-1", 0)],
)
async def test_retry_after_is_honoured_as_seconds_or_date(
    world: World, http: Http, header: str, wait_ms: int
) -> None:
    """What the service asks for becomes the earliest time of the next attempt."""
    world.answers("a", status=429, headers={"Retry-After": header})
    assert (await http.fails({"url": world.url("a")})).retry_after_ms == wait_ms


async def test_a_slow_service_is_a_timeout(world: World, http: Http) -> None:
    """An attempt ends when its time is up, also while the answer is pending."""
    world.hold("slow")
    failure = await http.fails({"url": world.url("slow")}, timeout_ms=100)
    assert failure.class_ == "Timeout"
    world.release("slow")


async def test_no_connection_is_a_network_error(http: Http) -> None:
    """Refused, unknown host: NetworkError, and no foreign text."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", "http://no-such-host.invalid/"):
        failure = await http.fails({"url": url})
        assert failure.class_ == "NetworkError"
        assert "Errno" not in failure.message


@pytest.mark.parametrize(
    "config",
    [
        {"url": "ftp://127.0.0.1/"},
        {"url": "file:///etc/passwd"},
        {"url": "not a url"},
        {"url": "http://"},
        {"url": "http://127.0.0.1:99999/"},
        {"url": "http://127.0.0.1/", "method": "TRACE"},
        {"url": "http://127.0.0.1/", "headers": {"Host": "other"}},
        {"url": "http://127.0.0.1/", "headers": {"X-A": "a\r\nX-B: b"}},
        {"url": "http://127.0.0.1/", "headers": {"X A": "a"}},
        {"url": "http://127.0.0.1/", "headers": {"Transfer-Encoding": "chunked"}},
        {},
    ],
)
async def test_a_request_that_cannot_be_sent_is_a_validation_error(
    http: Http, config: dict[str, Any]
) -> None:
    """Bad urls, methods and headers fail before anything is sent."""
    assert (await http.fails(config)).class_ == "ValidationError"


async def test_a_header_cannot_be_injected_by_data(world: World, http: Http) -> None:
    """CR and LF that come through a template are refused."""
    config = {"url": world.url("a"), "headers": {"X-Name": "{{input.name}}"}}
    failure = await http.fails(config, {"name": "a\r\nX-Admin: 1"})
    assert failure.class_ == "ValidationError"
    assert world.calls() == []


async def test_compressed_bombs_are_stopped(world: World, http: Http) -> None:
    """A body that grows beyond its bounds fails early and is not kept."""
    bomb = gzip.compress(b"0" * (64 * 1024 * 1024))
    world.answers("bomb", body=bomb, headers={"Content-Encoding": "gzip"})
    world.answers("large", body=b"0" * (10 * 1024 * 1024 + 1), content_type="text/plain")
    for route in ("bomb", "large"):
        failure = await http.fails({"url": world.url(route)})
        assert failure.details["reason"] == "RESPONSE_TOO_LARGE"


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        "<!DOCTYPE a><a/>",
        '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        "<a>" * 101 + "</a>" * 101,
    ],
)
async def test_hostile_xml_is_refused(world: World, http: Http, xml: str) -> None:
    """Document types, entities and depth end the attempt with XML_FORBIDDEN."""
    world.answers("xml", xml=xml)
    failure = await http.fails({"url": world.url("xml")})
    assert failure.details["reason"] == "XML_FORBIDDEN"


async def test_webhook_posts_its_payload(world: World, webhook: Http) -> None:
    """`payload` goes out as JSON; without one the task's input does."""
    config = {"url": world.url("hook"), "payload": {"order": "{{context.id}}"}}
    await webhook(config, {"id": 7}, dialect=DIALECT_STEPS)
    await webhook({"url": world.url("all")}, {"id": 7}, dialect=DIALECT_STEPS)
    call = await only_call(world, "hook")
    assert (call.method, call.json) == ("POST", {"order": 7})
    assert (await only_call(world, "all")).json == {"id": 7}
