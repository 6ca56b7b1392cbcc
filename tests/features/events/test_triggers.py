"""What starts executions from outside: schedules, events, webhooks; and what makes up for them."""

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Trigger
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response, Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.graphs import code, edge, graph, node, statuses
from tests.features.natives import applied, apply, http_task, workflow

PATIENCE_S = 15
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def named(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def triggered(name: str, *triggers: Json, **spec: Json) -> Json:
    """A workflow that answers its input."""
    task = {"id": "done", "taskRef": "noop"}
    return workflow(name, task, triggers=list(triggers), output="{{input}}", **spec)


async def known(suite: Suite, name: str, count: int = 1) -> list[Json]:
    """The triggers of a workflow once the event service has so many."""
    found: list[Json] = []

    async def there() -> bool:
        nonlocal found
        answer = await suite.get(f"/api/v1/workflows/{name}/triggers")
        # Of a workflow that was deleted nothing is known.
        found = answer.json["triggers"] if answer.status == 200 else []
        return len(found) == count

    await until(f"{count} triggers of {name}", there, within_s=PATIENCE_S)
    return found


async def started(suite: Suite, name: str, count: int = 1) -> list[Json]:
    """Executions of a workflow, oldest first, once there are so many."""
    found: list[Json] = []

    async def there() -> bool:
        nonlocal found
        answer = await suite.get(f"/api/v1/executions?workflow={name}")
        found = answer.json["executions"]
        return len(found) >= count

    await until(f"{count} executions of {name}", there, within_s=PATIENCE_S)
    return found[::-1]


async def output(suite: Suite, execution: Json) -> Json:
    await suite.wait(execution["executionId"])
    return (await suite.get(f"/api/v1/executions/{execution['executionId']}")).json["output"]


async def post_signed(
    suite: Suite, path: str, value: Json, *, secret: str = SECRET, name: str = "", **changed: str
) -> Response:
    """A call as Standard Webhooks signs it."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    now = datetime.now(UTC)
    name = name or named("msg")
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, now, body.decode()),
    }
    return await suite.post(path, data=body, headers=headers | changed)


@pytest.mark.feature("S3-92")
async def test_a_schedule_fires(suite: Suite) -> None:
    """At its instants, with the input that its template makes; the list says when next."""
    name = named("tick")
    cron = {"expression": "* * * * * *", "input": {"at": "{{trigger.scheduledAt}}"}}
    await applied(suite, triggered(name, {"id": "second", "cron": cron}))
    (shown,) = await known(suite, name)
    assert (shown["kind"], shown["timezone"], shown["paused"]) == ("cron", "UTC", False)
    assert shown["nextAt"] > datetime.now(UTC).strftime("%Y-%m-%d")

    first, second, *_ = await started(suite, name, 2)
    gap = await output(suite, second), await output(suite, first)
    moments = [datetime.fromisoformat(each["at"]) for each in gap]
    assert moments[0] - moments[1] == timedelta(seconds=1)

    trigger = f"/api/v1/workflows/{name}/triggers/second"
    paused = await suite.post(f"{trigger}:pause")
    assert (paused.status, paused.json["paused"]) == (200, True), paused.text
    assert "nextAt" not in paused.json
    assert paused.json["lastExecutionId"]
    again = await suite.post(f"{trigger}:pause")
    assert (again.status, again.json["error"]["reason"]) == (409, "TRIGGER_PAUSED"), again.text
    fired = await suite.post(f"{trigger}:fire", {"input": {"by": "hand"}})
    assert fired.status == 202, fired.text
    assert await output(suite, fired.json) == {"by": "hand"}
    resumed = await suite.post(f"{trigger}:resume")
    assert (resumed.status, resumed.json["paused"]) == (200, False), resumed.text

    assert (await suite.delete(f"/api/v1/workflows/{name}")).status in (200, 204)
    await known(suite, name, 0)


@pytest.mark.feature("S3-91", "S3-44")
async def test_an_event_starts_what_its_filter_matches(suite: Suite) -> None:
    """By type, source and a condition over its data; once, however often it is published."""
    name, kind = named("paid"), named("order")
    event = {
        "type": f"{kind}.*",
        "source": "/shop",
        "filter": "event.data.total > 100",
        "input": {"order": "{{event.data}}", "of": "{{event.subject}}"},
    }
    await applied(suite, triggered(name, {"id": "large", "event": event}))
    await known(suite, name)

    def published(total: int, **more: str) -> Json:
        return {
            "type": f"{kind}.paid",
            "source": "/shop",
            "id": named("e"),
            "subject": "o-1",
            "data": {"total": total},
        } | more

    fires = published(101)
    for other in (published(100), published(101, source="/stall"), published(101, type="other")):
        answer = await suite.post("/api/v1/events", other)
        assert (answer.status, answer.json["triggers"]) == (202, 0), answer.text
    answer = await suite.post("/api/v1/events", fires)
    assert (answer.status, answer.json["triggers"]) == (202, 1), answer.text
    repeated = await suite.post("/api/v1/events", fires)
    assert (repeated.status, repeated.json["created"]) == (200, False), repeated.text

    (execution,) = await started(suite, name)
    assert await output(suite, execution) == {"order": {"total": 101}, "of": "o-1"}
    assert len(await started(suite, name)) == 1

    for wrong in ({"type": ""}, {"type": "flowmesh.workflow.completed"}, {"type": "a\nb"}):
        refused = await suite.post("/api/v1/events", wrong)
        assert (refused.status, refused.json["error"]["reason"]) == (400, "EVENT_INVALID")


@pytest.mark.feature("S3-44")
async def test_the_end_of_an_execution_starts_another(suite: Suite) -> None:
    """What executions tell of themselves are events too."""
    first, second = named("first"), named("second")
    event = {
        "type": "flowmesh.workflow.completed",
        "filter": f"event.source.endsWith('/{first}')",
        "input": {"after": "{{event.subject}}", "got": "{{event.data.data.output}}"},
    }
    await applied(suite, triggered(first), triggered(second, {"id": "then", "event": event}))
    await known(suite, second)
    execution = await suite.begin(first, {"n": 7})
    (following,) = await started(suite, second)
    assert await output(suite, following) == {"after": execution, "got": {"n": 7}}


@pytest.mark.feature("S3-70")
async def test_a_webhook_starts_an_execution_once(suite: Suite) -> None:
    """Checked, turned and started; the same call again has the first outcome."""
    name = named("hooked")
    webhook = {
        "path": name,
        "secret": SECRET,
        "payloadSchema": {"type": "object", "required": ["total"]},
        "input": {"order": "{{payload}}"},
    }
    await applied(suite, triggered(name, {"id": "in", "webhook": webhook}))
    (shown,) = await known(suite, name)
    path = shown["url"]
    assert (path, shown["provider"]) == (f"/api/v1/hooks/default/{name}", "standard")

    answer = await post_signed(suite, f"{path}?of=them", {"total": 5}, name="call-1")
    assert (answer.status, answer.json["created"]) == (202, True), answer.text
    assert await output(suite, answer.json) == {"order": {"total": 5}}
    again = await post_signed(suite, path, {"total": 5}, name="call-1")
    assert (again.status, again.json["created"]) == (200, False), again.text
    assert again.json["executionId"] == answer.json["executionId"]

    wrong = await post_signed(suite, path, {"sum": 5})
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "PAYLOAD_INVALID"), wrong.text
    assert wrong.json["error"]["details"][0]["schemaPath"] == "#/required"
    twice = await post_signed(suite, path, b'{"total": {"n": 1, "n": 2}}')
    assert (twice.status, twice.json["error"]["reason"]) == (400, "PAYLOAD_INVALID"), twice.text
    assert "twice in one object: total.n" in twice.json["error"]["message"]
    assert len(await started(suite, name)) == 1


async def test_calls_that_are_not_signed_right_are_refused(suite: Suite) -> None:
    """B27: unsigned, wrong secret, changed, old, ahead, a dot in the id, too many; no JSON."""
    name = named("guarded")
    await applied(suite, triggered(name, {"id": "in", "webhook": {"secret": SECRET}}))
    (shown,) = await known(suite, name)
    path = shown["url"]
    value = {"total": 5}
    old = str(int(datetime.now(UTC).timestamp()) - 301)
    ahead = str(int(datetime.now(UTC).timestamp()) + 310)
    other = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
    refused = [
        await suite.post(path, value),
        await post_signed(suite, path, value, secret=other),
        await post_signed(suite, path, value, **{"webhook-id": "another"}),
        await post_signed(suite, path, value, **{"webhook-timestamp": old}),
        await post_signed(suite, path, value, **{"webhook-timestamp": ahead}),
        await post_signed(suite, path, value, name="a.b"),
        await post_signed(suite, path, value, **{"webhook-signature": "v1,AAAA " * 900}),
    ]
    for answer in refused:
        assert answer.status == 401, answer.text
        assert answer.json["error"]["reason"] == "WEBHOOK_UNAUTHENTICATED"
    text = await post_signed(suite, path, value, **{"content-type": "text/plain"})
    assert (text.status, text.json["error"]["reason"]) == (415, "CONTENT_TYPE_UNSUPPORTED")
    nowhere = await suite.post("/api/v1/hooks/default/nowhere", value)
    assert (nowhere.status, nowhere.json["error"]["reason"]) == (404, "HOOK_NOT_FOUND")
    assert (await suite.get(f"/api/v1/executions?workflow={name}")).json["executions"] == []


@pytest.mark.feature("S3-70")
@pytest.mark.parametrize("entrance", [True, False])
async def test_a_node_waits_for_a_call(suite: Suite, entrance: bool) -> None:
    """At a URL of its own; what does not fit is refused and it waits on."""
    receive = node(
        "pay",
        "webhook",
        provider="github",
        secret="s3cret",
        payloadSchema={"type": "object", "required": ["amount"]},
        transformationTemplate={"paid": "{{payload.amount}}"},
    )
    tail = code("tell", "return context.pay.paid + 1")
    if entrance:
        definition = graph(receive, tail, edges=[edge("pay>tell")])
        await suite.define(definition)
        (shown,) = await known(suite, definition["id"])
        path, execution_id = shown["url"], ""
    else:
        head = code("head")
        definition = graph(head, receive, tail, edges=[edge("head>pay"), edge("pay>tell")])
        await suite.define(definition)
        execution_id = await suite.begin(definition["id"])
        path = await hook_of(suite, execution_id)

    def signed(body: bytes) -> dict[str, str]:
        digest = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        return {"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"}

    wrong = b'{"sum": 1}'
    refused = await suite.post(path, data=wrong, headers=signed(wrong))
    assert (refused.status, refused.json["error"]["reason"]) == (400, "PAYLOAD_INVALID")
    right = b'{"amount": 41}'
    unsigned = await suite.post(path, data=right, headers=signed(wrong))
    assert unsigned.status == 401, unsigned.text
    taken = await suite.post(path, data=right, headers=signed(right))
    assert taken.status == 202, taken.text
    again = await suite.post(path, data=right, headers=signed(right))
    assert (again.status, again.json["created"]) == (200, False), again.text
    execution_id = execution_id or taken.json["executionId"]
    execution = await suite.wait(execution_id)
    assert execution["status"] == "completed", execution
    results = (await suite.get(f"/api/v1/executions/{execution_id}/results?view=steps")).json
    assert "42" in json.dumps(results)
    if not entrance:
        other = b'{"amount": 42}'
        closed = await suite.post(path, data=other, headers=signed(other))
        assert (closed.status, closed.json["error"]["reason"]) == (409, "HOOK_CLOSED")
        forged = await suite.post(path[:-4] + "AAAA", data=right, headers=signed(right))
        assert (forged.status, forged.json["error"]["reason"]) == (404, "HOOK_NOT_FOUND")


async def hook_of(suite: Suite, execution_id: str) -> str:
    """The URL of the one node that waits for a call, once it does."""
    found: list[Json] = []

    async def waits() -> bool:
        nonlocal found
        answer = await suite.get(f"/api/v1/executions/{execution_id}/hooks")
        found = answer.json["hooks"]
        return bool(found)

    await until("a node that waits for a call", waits, within_s=PATIENCE_S)
    return str(found[0]["url"])


async def test_a_native_task_waits_for_a_call(suite: Suite) -> None:
    """`webhook.receive`: what is posted is its output, and the CLI shows the URL."""
    name = named("receiver")
    receive = {
        "id": "approved",
        "taskRef": "webhook.receive",
        "input": {"payloadSchema": {"type": "object", "required": ["by"]}},
    }
    await applied(suite, workflow(name, receive, output="{{tasks.approved.output.by}}"))
    execution_id = await suite.begin(name)
    path = await hook_of(suite, execution_id)
    state = (await suite.get(f"/api/v1/executions/{execution_id}")).json
    assert state["tasks"]["approved"]["url"] == path
    shown = await command(suite, "hooks", execution_id)
    assert shown.out.strip() == f"approved  {path}"
    assert (await suite.post(path, {"to": "ada"})).status == 400
    assert (await suite.post(path, {"by": "ada"})).status == 202
    assert await output(suite, {"executionId": execution_id}) == "ada"


@pytest.mark.feature("S3-71")
async def test_four_types_of_trigger_nodes_start_a_workflow(suite: Suite) -> None:
    """Scheduled, event, manual, api."""
    kind = named("signal")
    scheduled = {"cron": "* * * * * *", "input": {"by": "scheduled"}}
    event = {"eventType": kind, "input": {"by": "event"}}
    for data in (
        {"triggerType": "scheduled", "config": scheduled},
        {"triggerType": "event", "config": event},
        {"triggerType": "manual"},
        {"triggerType": "api"},
    ):
        by = data["triggerType"]
        definition = graph(node("go", "trigger", **data), code("then"), edges=[edge("go>then")])
        await suite.define(definition)
        if by in ("manual", "api"):
            await suite.begin(definition["id"], {"by": by})
        else:
            await known(suite, definition["id"])
        if by == "event":
            answer = await suite.post("/api/v1/events", {"type": kind})
            assert answer.json["triggers"] == 1, answer.text
        execution_id = (await started(suite, definition["id"]))[0]["executionId"]
        await suite.wait(execution_id)
        shown = (await suite.get(f"/api/v1/executions/{execution_id}")).json
        assert (shown["status"], shown["input"]) == ("completed", {"by": by})
        assert (await statuses(suite, execution_id))["then"] == "success"
        if by == "scheduled":
            await suite.delete(f"/api/v1/workflows/{definition['id']}")


@pytest.mark.feature("S3-94")
async def test_an_event_is_forwarded_to_an_external_system(suite: Suite, world: World) -> None:
    """An event starts a workflow that posts what its template makes of it."""
    name, kind = named("relay"), named("shipped")
    post = http_task(f"{name}-post", world.url("crm"))
    tell = {
        "id": "tell",
        "taskRef": f"{name}-post",
        "input": {"text": "parcel {{input.parcel}} left"},
    }
    event = {"type": kind, "input": "{{event.data}}"}
    flow = workflow(name, tell, triggers=[{"id": "on", "event": event}])
    await applied(suite, post, flow)
    await known(suite, name)
    await suite.post("/api/v1/events", {"type": kind, "data": {"parcel": "p-9"}})
    (call,) = await world.called("crm")
    assert call.json == {"text": "parcel p-9 left"}


async def test_wrong_triggers_are_refused_where_they_stand(suite: Suite) -> None:
    """With the place and what would be right; two workflows cannot have one URL."""
    name = named("wrong")
    answer = await apply(
        suite,
        triggered(
            name,
            {"id": "a", "cron": {"expression": "61 * * * *"}},
            {"id": "b", "cron": {"expression": "* * * * *", "timezone": "Mars"}},
            {"id": "c", "event": {"type": "x", "filter": "event.data."}},
            {"id": "d", "webhook": {"provider": "github"}},
        ),
    )
    places = {detail["field"] for detail in answer.json["error"]["details"]}
    assert places == {
        "triggers[0].cron.expression",
        "triggers[1].cron.timezone",
        "triggers[2].event.filter",
        "triggers[3].webhook",
    }
    hook = {"id": "in", "webhook": {"path": name}}
    await applied(suite, triggered(name, hook))
    taken = await apply(suite, triggered(f"{name}-too", hook))
    assert (taken.status, taken.json["error"]["reason"]) == (409, "HOOK_TAKEN"), taken.text


@pytest.mark.long
@pytest.mark.feature("S1-182", "S1-169")
async def test_a_backfill_starts_nothing_twice(suite: Suite, tmp_path: Path) -> None:
    """Of a file, of a schedule, of published events: counted first, run again without effect."""
    name, kind = named("filled"), named("counted")
    triggers = (
        {"id": "hourly", "cron": {"expression": "@hourly"}},
        {"id": "counted", "event": {"type": kind, "input": "{{event.data}}"}},
    )
    since = datetime.now(UTC) - timedelta(seconds=1)
    for number in (1, 2):
        await suite.post("/api/v1/events", {"type": kind, "data": {"n": number}})
    await applied(suite, triggered(name, *triggers))
    await known(suite, name, 2)
    later = datetime.now(UTC)
    await suite.post("/api/v1/events", {"type": kind, "data": {"n": 3}})
    await started(suite, name)
    tokens: tuple[str, ...] = ("--trigger", "counted", "--since", later.isoformat())
    tokens += ("--dry-run", "--json")
    assert (await command(suite, "backfill", name, *tokens)).json == {"total": 1}

    inputs = tmp_path / "inputs.jsonl"
    inputs.write_text('{"n": 10}\n{"n": 11}\n{"n": 10}\n')
    ranged = ("--trigger", "hourly", "--since", "2026-01-01T00:00:00Z")
    runs: tuple[tuple[tuple[str, ...], int, int], ...] = (
        ((str(inputs),), 3, 3),
        ((*ranged, "--until", "2026-01-01T05:00:00Z"), 5, 5),
        (("--trigger", "counted", "--since", since.isoformat()), 3, 2),
    )
    total = 1
    for tokens, expected, new in runs:
        counted = await command(suite, "backfill", name, *tokens, "--dry-run", "--json")
        assert counted.json == {"total": expected}, counted.err
        done = await command(suite, "backfill", name, *tokens, "--concurrency", "2", "--json")
        assert (done.code, done.json["total"], done.json["started"]) == (0, expected, new), done
        again = await command(suite, "backfill", name, *tokens, "--json")
        assert (again.json["started"], again.json["repeated"]) == (0, expected)
        total += new
    assert len(await started(suite, name, total)) == total


@pytest.mark.long
async def test_the_cli_and_the_sdk_do_what_rest_does(suite: Suite) -> None:
    """Lists, pauses, resumes, fires, publishes."""
    name, kind = named("spoken"), named("said")
    event = {"id": "said", "event": {"type": kind, "input": "{{event.data}}"}}
    await applied(suite, triggered(name, event))
    await known(suite, name)
    listed = await command(suite, "trigger", "list", name)
    assert listed.lines[0].startswith(f"{name} said  event  ")
    paused = await command(suite, "trigger", "pause", name, "said", "--json")
    assert paused.json["paused"] is True
    silent = await command(suite, "publish", kind, "--data", "1", "--id", kind, "--json")
    assert silent.json == {"id": kind, "created": True, "triggers": 0}
    async with Client(suite.grpc_address) as client:
        trigger = await client.resume_trigger(name, "said")
        assert isinstance(trigger, Trigger)
        assert not trigger.paused
        published = await client.publish(kind, {"n": 2})
        assert (published.created, published.triggers) == (True, 1)
    (execution,) = await started(suite, name)
    assert await output(suite, execution) == {"n": 2}
    fired = await command(suite, "trigger", "fire", name, "said", "--input", '{"n": 3}')
    assert await output(suite, {"executionId": fired.out.strip()}) == {"n": 3}
    missing = await command(suite, "trigger", "pause", name, "nobody")
    assert (missing.code, "TRIGGER_NOT_FOUND" in missing.err) == (1, True)
