"""Executions are found by a filter, counted in groups, and acted on together."""

import asyncio
import math
import time
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest

from flowmesh.api.common.v1.search_pb2 import SearchValue
from flowmesh.api.execution.v1.search_service_pb2 import SetSearchAttributesRequest
from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceStub
from flowmesh.errors import Invalid, WrongState
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features import commands

LISTED_WITHIN_S = 1.0
STARTS = 200
ORDERS = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: orders-found}
spec:
  tasks:
    - id: wait
      taskRef: delay
      input: {duration: "{{ input.nap }}"}
  searchAttributes:
    amount: {type: number, from: "{{ input.order.total }}"}
    region: {type: text}
    due: {type: time, from: "{{ input.due }}"}
    express: {type: bool, from: "{{ input.express }}"}
  searchable: [input.customerId]
"""


async def order(client: Client, customer: str, total: float, team: str, **more: Any) -> str:
    """An execution that waits an hour, unless told otherwise."""
    given = {"nap": 3_600_000, "customerId": customer, "order": {"total": total}, **more}
    return (await client.start("orders-found", given, labels={"team": team})).id


async def found(client: Client, text: str, order_by: str = "") -> list[str]:
    return [one.id async for one in client.list_executions(filter=text, order_by=order_by)]


async def test_a_filter_finds_by_labels_attributes_and_input(suite: Suite) -> None:
    """The same text over gRPC, REST and the command line; what is declared is typed."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        small = await order(client, "c-7", 12, "pay", due="2026-11-01T08:00:00Z")
        large = await order(client, "c-8", 900, "pay", express=True)
        other = await order(client, "c-7", 100, "stock")
        mine = 'workflow = "orders-found" AND '
        for text, wanted in (
            ('label.team = "pay"', [large, small]),
            ("attr.amount >= 100", [other, large]),
            ('attr.amount >= 100 AND NOT label.team = "pay"', [other]),
            ('input.customerId = "c-7" AND started > "-1h"', [other, small]),
            ('label.team ^= "st" OR attr.amount > 500', [other, large]),
            ("attr.express = true", [large]),
            ('attr.due < "2026-11-02" AND attr.due >= "2026-11-01"', [small]),
            ("attr.due = null AND status IN (running, paused)", [other, large]),
            ('any = "c-7"', [other, small]),
            ('any ^= "sto"', [other]),
            (f'any = "{large}"', [large]),
            ('any ^= "orders-fo" AND NOT any = "c-7"', [large]),
        ):
            assert await found(client, mine + text) == wanted, text
            listed = await suite.get(f"/api/v1/executions?filter={quote(mine + text)}")
            assert [one["executionId"] for one in listed.json["executions"]] == wanted
        ordered = await found(client, mine + "attr.amount > 0", "attr.amount desc")
        assert ordered == [large, other, small]
        told = await commands.command(suite, "search", mine + "attr.amount = 12", "--json")
        assert [one["executionId"] for one in told.json] == [small]
        shown = (await client.get_execution(small)).search
        assert (shown["label.team"], shown["attr.amount"]) == ("pay", 12.0)


@pytest.mark.feature("S0-148")
async def test_a_list_adds_search_values_where_they_are_asked_for(suite: Suite) -> None:
    """Over gRPC and REST, of each execution its own; a list that asks for none has none."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        first = await order(client, "c-61", 61, "columns", due="2026-11-01T08:00:00Z")
        other = await order(client, "c-62", 62, "columns", express=True)
        where = 'label.team = "columns"'
        wanted = {
            first: {"attr.amount": 61, "attr.due": "2026-11-01T08:00:00.000000Z"},
            other: {"attr.amount": 62, "attr.express": "true"},
        }
        for execution, customer in ((first, "c-61"), (other, "c-62")):
            wanted[execution] |= {"input.customerId": customer, "label.team": "columns"}
        listed = client.list_executions(filter=where, with_search=True)
        assert {each.id: each.search async for each in listed} == wanted
        assert [each.search async for each in client.list_executions(filter=where)] == [{}, {}]
    path = f"/api/v1/executions?filter={quote(where)}"
    shown = (await suite.get(f"{path}&include=search")).json["executions"]
    assert {each["executionId"]: each["search"] for each in shown} == wanted
    plain = (await suite.get(path)).json["executions"]
    assert [each["executionId"] for each in plain if "search" in each] == []
    refused = await suite.get(f"{path}&include=values")
    assert (refused.status, refused.json["error"]["details"][0]["field"]) == (400, "include")


async def test_names_that_no_execution_has_are_warned_of(suite: Suite) -> None:
    """In lists and counts, by a filter, an order or a group; a name that one has is not."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        one = await order(client, "c-warned", 1, "warned")
        text = 'input.missing = 1 OR input.customerId = "c-warned" AND NOT attr.regoin = "x"'
        path = f"/api/v1/executions?pageSize=1&orderBy=label.teem&filter={quote(text)}"
        listed = (await suite.get(path)).json
        assert [each.partition(": ")[0] for each in listed["warnings"]] == [
            f"no execution of this namespace has {name}"
            for name in ("input.missing", "attr.regoin", "label.teem")
        ]
        counted = await client.count_executions(text, group_by=["input.other"])
        assert [each.split()[6] for each in counted.warnings] == [
            "input.missing:",
            "attr.regoin:",
            "input.other:",
        ]
        told = await commands.command(suite, "search", text, "--json")
        assert [each["executionId"] for each in told.json] == [one]
        assert "warning: no execution of this namespace has input.missing: work" in told.err
        known = f"/api/v1/executions?orderBy=attr.amount&filter={quote('label.team = warned')}"
        assert "warnings" not in (await suite.get(known)).json
        shown: list[str] = []
        assert [each async for each in client.list_executions(filter=text, on_warning=shown.append)]
        assert len(shown) == 2


async def test_attributes_are_set_while_it_runs(suite: Suite) -> None:
    """By an event; what is not declared, or of another type, is refused and changes nothing."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        one = await order(client, "c-set", 1, "set")
        await client.set_search_attributes(one, {"region": "north", "amount": None})
        assert await found(client, 'attr.region = "north" AND attr.amount = null') == [one]
        for wrong in ({"colour": "red"}, {"amount": "many"}):
            with pytest.raises(Invalid, match="declare"):
                await client.set_search_attributes(one, wrong)
        with pytest.raises(Invalid):
            await client.start("orders-found", {"nap": 3_600_000, "order": {"total": "much"}})
        (event,) = [
            event async for event in client.history(one) if event.type == "SearchAttributesSet"
        ]
        assert event.data["removed"] == ["attr.amount"]
        await client.handle(one).cancel()
        with pytest.raises(WrongState):
            await client.set_search_attributes(one, {"region": "south"})


HELD = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: found-held}
spec:
  tasks:
    - {id: fails, taskRef: transform, input: {source: "{{ input.rows }}", pipeline:
        [{operation: sort, field: n}]}, onFailure: HOLD}
    - {id: asks, approval: {title: "Ship?"}, dependsOn: [fails]}
"""


async def test_what_needs_a_person_is_found_and_counted(suite: Suite) -> None:
    """A task on hold, then the approval behind it, then nothing."""
    async with Client(suite.grpc_address) as client:
        await client.register(HELD)
        one = (await client.start("found-held", {"rows": "none"})).id
        mine = 'workflow = "found-held" AND '

        async def there(text: str) -> None:
            async def seen() -> bool:
                return await found(client, mine + text) == [one]

            await until(text, seen, within_s=10)

        await there("needs = hold")
        counted = await client.count_executions("needs != null", group_by=["workflow", "needs"])
        assert (("found-held", "hold"), 1) in [(each.values, each.count) for each in counted.groups]
        path = f"/api/v1/executions/{one}/nodes/fails:complete"
        assert (await suite.post(path, {"output": 3, "reason": "by hand"})).status == 202
        await there("needs = approval AND NOT needs = hold")
        path = f"/api/v1/executions/{one}/nodes/asks:decide"
        assert (await suite.post(path, {"approved": True, "by": "ann"})).status == 202
        await there("needs = null AND status = completed")
        refused = await suite.get(f"/api/v1/executions?filter={quote('needs = holt')}")
        assert "did you mean 'hold'" in refused.json["error"]["message"]


async def test_counts_are_grouped(suite: Suite) -> None:
    """By a column, a label and a day at once; REST and `stats --group-by` say the same."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        for number in range(5):
            await order(client, "c-count", number, "even" if number % 2 == 0 else "odd")
        text = 'input.customerId = "c-count"'
        counted = await client.count_executions(text, group_by=["label.team", "status"])
        assert counted.count == 5
        assert [(each.values, each.count) for each in counted.groups] == [
            (("even", "running"), 3),
            (("odd", "running"), 2),
        ]
        rest = await suite.get(f"/api/v1/executions:count?filter={quote(text)}&groupBy=label.team")
        assert rest.json["groups"][0] == {"values": {"label.team": "even"}, "count": 3}
        told = await commands.command(
            suite, "stats", "--filter", text, "--group-by", "workflow", "--group-by", "day"
        )
        assert "orders-found" in told.out
        assert told.out.splitlines()[-1].split() == ["5"]


async def test_errors_are_found_by_their_words(suite: Suite) -> None:
    """A failed execution by words of its error, whatever their case, and by its class."""
    wrong = {
        "id": "find-failed",
        "steps": [
            {
                "id": "f",
                "action": "function",
                "params": {"code": "throw new Error('Payment gateway TIMEOUT for c-9')"},
            }
        ],
    }
    failed = await suite.run(wrong)
    async with Client(suite.grpc_address) as client:
        text = 'workflow = "find-failed" AND status = failed AND error ~ "gateway timeout"'
        assert await found(client, text) == [failed["executionId"]]
        assert await found(client, 'workflow = "find-failed" AND error ~ "refused"') == []
        classes = await client.count_executions(
            'workflow = "find-failed"', group_by=["error.class"]
        )
        assert classes.groups[0].values != ("",)


async def test_a_page_continues_after_the_previous_one(suite: Suite) -> None:
    """In every order, without gap or repeat; a token of another list is refused."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        ids = [await order(client, "c-page", number % 3, "page") for number in range(10)]
        text = 'input.customerId = "c-page"'
        for by in ("", "started asc", "ended desc", "attr.amount asc", "label.team desc"):
            pages = client.list_executions(filter=text, order_by=by, page_size=3)
            assert sorted([one.id async for one in pages]) == sorted(ids), by
    url = f"/api/v1/executions?filter={quote(text)}&pageSize=3"
    token = (await suite.get(url)).json["nextPageToken"]
    refused = await suite.get(f"/api/v1/executions?pageSize=3&pageToken={token}")
    assert refused.json["error"]["reason"] == "PAGE_TOKEN_INVALID", refused.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("statuss = running", "at character 1: 'statuss' is not a field"),
        ("statuss = running", "did you mean 'status'?"),
        ("status = runing", "did you mean 'running'?"),
        ("workflow = 'a' AND", "at character 19: a field expected, not the end"),
        ("started > yesterday", "started is a time"),
        ("(" * 17 + "version = 1", "nested more than 16 levels deep"),
    ],
)
async def test_a_wrong_filter_is_reported_with_its_position(
    suite: Suite, text: str, said: str
) -> None:
    """With the character and what would be right; the violation has the column."""
    refused = await suite.get(f"/api/v1/executions?filter={quote(text)}")
    error = refused.json["error"]
    assert (refused.status, error["reason"]) == (400, "FILTER_INVALID"), refused.text
    assert said in error["message"]
    assert error["details"][0]["column"] >= 1


@pytest.mark.long
async def test_what_is_committed_is_listed_at_once(suite: Suite) -> None:
    """The 99th percentile from the answer to a start to a list that shows it is below 1 s."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        took = []
        for number in range(STARTS):
            one = await order(client, f"c-lag-{number}", 1, "lag")
            begun = time.perf_counter()
            assert await found(client, f'input.customerId = "c-lag-{number}"') == [one]
            took.append(time.perf_counter() - begun)
    assert sorted(took)[int(STARTS * 0.99)] < LISTED_WITHIN_S


async def test_a_bulk_acts_once_on_each(suite: Suite) -> None:
    """Preview, progress and counts; what had ended already is skipped, a repeat begins nothing."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        ids = [await order(client, "c-bulk", number, "bulk") for number in range(12)]
        text = 'input.customerId = "c-bulk"'
        assert await client.preview_bulk(text) == (12, tuple(ids[:10]))
        await client.handle(ids[0]).cancel()
        bulk = await client.start_bulk("pause", text, reason="a look", request_id="bulk-once")
        again = await client.start_bulk("pause", text, reason="a look", request_id="bulk-once")
        assert again.id == bulk.id

        async def ended() -> bool:
            return (await client.get_bulk(bulk.id)).status == "completed"

        await until("the bulk has ended", ended, within_s=10)
        done = await client.get_bulk(bulk.id)
        assert (done.applied, done.skipped, done.failed) == (11, 1, 0)
        events = [event async for event in client.history(ids[1])]
        paused = [event for event in events if event.type == "WorkflowPaused"]
        assert [event.data["requestId"] for event in paused] == [f"{bulk.id}.{ids[1]}"]
        with pytest.raises(WrongState):
            await client.cancel_bulk(bulk.id)
        told = await commands.command(
            suite, "bulk", "start", "terminate", f"{text} AND status = paused", "--yes", "--json"
        )
        assert (told.code, told.json["applied"]) == (0, 11), told.err
        assert (await client.count_executions(f"{text} AND status = paused")).count == 0


async def test_a_bulk_can_be_stopped(suite: Suite) -> None:
    """After the page it is at; the rest is not touched, and what it did is counted."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        await asyncio.gather(*(order(client, "c-stop", 1, "stop") for _ in range(100)))
        text = 'input.customerId = "c-stop"'
        begun = await suite.post(
            "/api/v1/bulk", {"filter": text, "action": "cancel", "ratePerSecond": 20}
        )
        assert begun.status == 202, begun.text
        url = f"/api/v1/bulk/{begun.json['bulkId']}"

        async def applied() -> int:
            return int((await suite.get(url)).json["applied"])

        await until("one page is counted", applied, within_s=10)
        stopped = await suite.post(f"{url}:cancel", {})
        assert (stopped.status, stopped.json["status"]) == (202, "canceled"), stopped.text

        async def counted() -> bool:
            canceled = await client.count_executions(f"{text} AND status = canceled")
            return canceled.count == await applied() and canceled.count % 20 == 0

        await until("its last page is counted", counted, within_s=10)
        left = await client.count_executions(f"{text} AND status = running")
        assert 0 < left.count <= 80
    missing = await suite.get("/api/v1/bulk/bulk-no-such")
    assert (missing.status, missing.json["error"]["reason"]) == (404, "BULK_NOT_FOUND")
    wrong = await suite.post("/api/v1/bulk", {"filter": "status = running", "action": "cancle"})
    assert "did you mean 'cancel'?" in wrong.json["error"]["message"]


async def test_labels_and_paces_are_bounded(suite: Suite) -> None:
    """The limit is taken, one more is refused and starts nothing."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        labels = {f"l{number}": "x" * 256 for number in range(20)}
        full = await client.start("orders-found", {"nap": 3_600_000}, labels=labels)
        assert len((await full.describe()).search) == 20
        for wrong in (labels | {"more": ""}, {"a": "x" * 257}, {"a b": "x"}, {"": "x"}):
            with pytest.raises(Invalid) as refused:
                await client.start("orders-found", {"nap": 3_600_000}, labels=wrong)
            assert refused.value.reason == "SEARCH_ATTRIBUTE_INVALID"
        bulk = await client.start_bulk("cancel", f'id = "{full.id}"', rate_per_second=1_000)
        assert bulk.matched == 1
        with pytest.raises(Invalid, match="1000"):
            await client.start_bulk("cancel", "status = paused", rate_per_second=1_001)


async def test_times_and_numbers_are_bounded(suite: Suite) -> None:
    """Times are of the years 1 to 9999 in UTC, wherever they are told; numbers are numbers."""
    async with Client(suite.grpc_address) as client:
        searches = SearchServiceStub(client.caller.channel)
        await client.register(ORDERS)
        for due in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
            at_edge = await order(client, "c-edge", 1, "edge", due=due)
            shown = (await client.get_execution(at_edge)).search["attr.due"]
            assert shown == datetime.fromisoformat(due)
        for due in ("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"):
            with pytest.raises(Invalid) as refused:
                await order(client, "c-beyond", 1, "edge", due=due)
            assert refused.value.reason == "SEARCH_ATTRIBUTE_INVALID"
        for wrong in (
            SearchValue(name="due", time_us=2**62),
            SearchValue(name="due", time_us=-(2**62)),
            SearchValue(name="amount", number=math.nan),
            SearchValue(name="amount", number=-math.inf),
        ):
            request = SetSearchAttributesRequest(execution_id=at_edge, values=[wrong])
            with pytest.raises(Invalid) as refused:
                await client.caller.call(searches.SetSearchAttributes, request)
            assert refused.value.reason == "SEARCH_ATTRIBUTE_INVALID"
        assert await found(client, 'input.customerId = "c-beyond"') == []


async def test_a_rerun_is_found_as_the_first_one(suite: Suite) -> None:
    """Its labels are those of the first, its attributes computed anew."""
    async with Client(suite.grpc_address) as client:
        await client.register(ORDERS)
        first = await order(client, "c-again", 7, "again")
        await client.handle(first).cancel()
        again = await suite.post(f"/api/v1/executions/{first}:rerun", {})
        assert again.status in (200, 201, 202), again.text
        text = 'label.team = "again" AND attr.amount = 7 AND input.customerId = "c-again"'
        assert await found(client, text) == [again.json["executionId"], first]
