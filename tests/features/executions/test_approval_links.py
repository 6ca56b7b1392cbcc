"""Signed links by which people decide: the page, the decision, and everything that is no link."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response, Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.executions.test_control import ended, held, reached
from tests.features.natives import applied, refusal, workflow

Asking = Callable[..., Awaitable[str]]
_numbers = itertools.count(1)
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM_TYPE = {"content-type": "application/x-www-form-urlencoded"}
HOSTILE = "<script>alert('x')</script>"
FORM = {"type": "object", "required": ["limit"], "properties": {"limit": {"type": "integer"}}}


async def _asking(suite: Suite, **approval: Json) -> str:
    """An execution that waits for ida and rob, both of whom must approve."""
    name = f"links-{next(_numbers)}"
    said = {
        "assignees": ["ida", "rob"],
        "title": "Order {{input.order}}",
        "data": {"note": "{{input.note}}"},
        "form": FORM,
    }
    task = {"id": "ok", "approval": said | approval}
    await applied(suite, workflow(name, task, output="{{tasks.ok.output}}"))
    start = {"input": {"order": 7, "note": HOSTILE}}
    answer = await suite.post(f"/api/v1/workflows/{name}/start", start)
    execution = str(answer.json["executionId"])
    await reached(suite, execution, ok="running")
    return execution


@pytest.fixture
async def asking(suite: Suite) -> AsyncIterator[Asking]:
    """Begins such executions, and ends them: others list what waits."""
    begun: list[str] = []

    async def begin(**approval: Json) -> str:
        begun.append(await _asking(suite, **approval))
        return begun[-1]

    yield begin
    for execution in begun:
        await suite.post(f"/api/v1/executions/{execution}:terminate")


async def link(suite: Suite, execution: str, by: str = "ida", **more: Json) -> str:
    """The path of a link."""
    answer = await suite.post(f"/api/v1/executions/{execution}/nodes/ok:link", {"by": by, **more})
    assert answer.status == 201, answer.text
    url: str = answer.json["url"]
    assert url.startswith(f"{suite.http_url}/approve/")
    return urlsplit(url).path


async def opened(suite: Suite, path: str, **headers: str) -> Response:
    return await suite.get(path, headers=BROWSER | headers)


async def sent(suite: Suite, path: str, **fields: str) -> Response:
    return await suite.post(path, data=urlencode(fields).encode(), headers=BROWSER | FORM_TYPE)


async def decisions(suite: Suite, execution: str) -> list[tuple[str, bool]]:
    found = (await suite.get(f"/api/v1/executions/{execution}")).json
    listed = found["tasks"]["ok"]["approval"]["decisions"]
    return [(one["by"], one["approved"]) for one in listed]


async def test_a_link_shows_what_is_asked_and_its_form_decides(
    suite: Suite, asking: Asking
) -> None:
    """Looking decides nothing, however often; what does not fit is said; a decision counts once."""
    execution = await asking()
    path = await link(suite, execution)
    for _ in range(3):
        page = await opened(suite, path)
        await suite.request("HEAD", path, headers=BROWSER)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "Order 7" in page.text
    assert 'name="form.limit"' in page.text
    assert HOSTILE not in page.text
    assert "&lt;script&gt;" in page.text
    assert await decisions(suite, execution) == []

    wrong = await sent(suite, path, decision="approve", comment="mine", **{"form.limit": "many"})
    assert (wrong.status, wrong.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "form.limit" in wrong.text
    assert 'value="many"' in wrong.text
    assert "mine" in wrong.text
    assert await decisions(suite, execution) == []

    done = await sent(suite, path, decision="approve", comment="fine", **{"form.limit": "50"})
    assert done.status == 200, done.text
    assert "You have approved this" in done.text
    assert await decisions(suite, execution) == [("ida", True)]
    for again in (await opened(suite, path), await sent(suite, path, decision="reject")):
        assert again.status == 409
        assert "ida has approved ok already" in again.text
    assert await decisions(suite, execution) == [("ida", True)]

    other = await sent(suite, await link(suite, execution, "rob"), decision="approve",
                       **{"form.limit": "9"})  # fmt: skip
    assert "ok is approved" in other.text
    found = await ended(suite, execution, "completed")
    assert found["output"]["decisions"][0] == {
        "by": "ida",
        "approved": True,
        "comment": "fine",
        "form": {"limit": 50},
    }


async def test_what_is_no_link_of_ours_changes_nothing(suite: Suite, asking: Asking) -> None:
    """Tampered, cut, of a key that is not there, expired: a page and a status each, no change."""
    execution = await asking()
    path = await link(suite, execution)
    short = await link(suite, execution, validMs=1)
    key, _, rest = path.removeprefix("/approve/").partition(".")
    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    middle = len(path) // 2
    swapped = path[:middle] + ("A" if path[middle] != "A" else "B") + path[middle + 1 :]
    for wrong in (changed, swapped, path[:-5], f"/approve/{int(key) + 1}.{rest}", "/approve/x",
                  "/approve/%00", "/approve/1.%ff.x", f"/approve/{'9' * 5_000}"):  # fmt: skip
        for answer in (
            await opened(suite, wrong),
            await sent(suite, wrong, decision="approve", **{"form.limit": "1"}),
        ):
            assert (answer.status, "not valid" in answer.text) == (403, True), wrong[:80]
            assert answer.headers["Cache-Control"] == "no-store"
    for answer in (
        await opened(suite, short),
        await sent(suite, short, decision="approve", **{"form.limit": "1"}),
    ):
        assert (answer.status, "has expired" in answer.text) == (410, True)
    assert refusal(await suite.get(changed)) == (403, "LINK_INVALID")
    assert refusal(await suite.get(short)) == (410, "LINK_EXPIRED")
    assert await decisions(suite, execution) == []


async def test_a_form_that_is_none_is_refused(suite: Suite, asking: Asking) -> None:
    """Another type, no decision, too many fields, no UTF-8, NUL, too large."""
    execution = await asking()
    path = await link(suite, execution)
    many = "&".join(f"f{at}=1" for at in range(300))
    for body, status in (
        (b"", 400),
        (b"decision=maybe", 400),
        (b"decision=approve&comment=%00", 400),
        (b"decision=approve&comment=%ff", 400),
        (b"decision=approve&comment=\xff", 400),
        (f"decision=approve&{many}".encode(), 400),
        (b"decision=approve&comment=" + b"a" * 5_000, 400),
        (b"decision=approve&comment=" + b"a" * 300_000, 413),
        (b"decision=approve", 400),
    ):
        answer = await suite.post(path, data=body, headers=BROWSER | FORM_TYPE)
        assert (answer.status, "<html" in answer.text) == (status, True), body[:60]
    other = await suite.post(path, {"decision": "approve"}, headers=BROWSER)
    assert other.status == 415
    assert await decisions(suite, execution) == []


async def test_a_link_may_allow_one_answer_only(suite: Suite, asking: Asking) -> None:
    """The page offers no other, and none is taken."""
    execution = await asking()
    path = await link(suite, execution, decision="reject")
    page = await opened(suite, path)
    assert 'value="reject"' in page.text
    assert 'value="approve"' not in page.text
    refused = await sent(suite, path, decision="approve", **{"form.limit": "1"})
    assert refused.status == 403
    assert await decisions(suite, execution) == []
    assert (await sent(suite, path, decision="reject", comment="no")).status == 200
    found = await ended(suite, execution, "failed")
    assert found["error"]["class"] == "Rejected"


@pytest.mark.long
async def test_links_are_made_only_for_assignees(suite: Suite, asking: Asking) -> None:
    """Over REST, the SDK and the command; bad input says what is wrong."""
    execution = await asking(deadline="1h")
    route = f"/api/v1/executions/{execution}/nodes"
    for body, expected in (
        ({"by": "eve"}, (409, "NODE_STATE_WRONG")),
        ({"by": ""}, (400, "REQUEST_INVALID")),
        ({}, (400, "REQUEST_INVALID")),
        ({"by": "ida", "decision": "maybe"}, (400, "REQUEST_INVALID")),
        ({"by": "ida", "validMs": -1}, (400, "REQUEST_INVALID")),
        ({"by": "ida", "validMs": 10**15}, (400, "REQUEST_INVALID")),
    ):
        answer = await suite.post(f"{route}/ok:link", body)
        assert refusal(answer) == expected, answer.text
    assert refusal(await suite.post(f"{route}/no:link", {"by": "ida"})) == (404, "NODE_NOT_FOUND")
    async with Client(suite.grpc_address) as client:
        made = await client.handle(execution).approval_link("ok", by="ida")
    due = (await suite.get(f"/api/v1/executions/{execution}")).json["tasks"]["ok"]["approval"]
    assert made.expires_at.isoformat(timespec="milliseconds")[:23] == due["dueAt"][:23]
    assert (await opened(suite, urlsplit(made.url).path)).status == 200
    printed = await command(suite, "approval-link", execution, "ok", "rob", "--valid", "5m")
    assert (await opened(suite, urlsplit(printed.lines[0]).path)).status == 200
    wrong = await command(suite, "approval-link", execution, "ok", "rob", "--valid", "soon")
    assert wrong.code == 1
    assert "'soon' is not a duration" in wrong.err


async def test_a_link_is_of_one_question(suite: Suite, world: World) -> None:
    """A node that asks anew, and one that is canceled, take no link of before."""
    name = f"links-{next(_numbers)}"
    task = {"id": "ok", "approval": {"assignees": ["ida", "rob"]}, "onFailure": "HOLD"}
    await applied(suite, workflow(name, task))
    started = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {}})
    execution = started.json["executionId"]
    await reached(suite, execution, ok="running")
    old = await link(suite, execution, "rob")
    await sent(suite, await link(suite, execution), decision="reject")
    await held(suite, execution, "ok")
    assert (await opened(suite, old)).status == 409
    await suite.post(f"/api/v1/executions/{execution}/nodes/ok:retry")
    await reached(suite, execution, ok="running")
    answer = await sent(suite, old, decision="approve")
    assert (answer.status, "does not wait for this decision any more" in answer.text) == (409, True)
    assert await decisions(suite, execution) == []
    new = await link(suite, execution, "rob")
    await suite.post(f"/api/v1/executions/{execution}:cancel")
    assert (await sent(suite, new, decision="approve")).status == 409


@pytest.mark.long
async def test_links_hold_over_a_restart_and_at_every_instance(tmp_path: Path) -> None:
    """The key is in the database, and in no log; the address of links is a setting."""
    public = {"FLOWMESH_PUBLIC_URL": "https://flow.example.com/x/"}
    suite = Suite(tmp_path / "data", "--orchestrators", "2", environment=public)
    async with suite:
        execution = await _asking(suite)
        answer = await suite.post(f"/api/v1/executions/{execution}/nodes/ok:link", {"by": "ida"})
        url = str(answer.json["url"])
        assert url.startswith("https://flow.example.com/x/approve/")
        path = "/approve/" + url.rpartition("/")[2]
        await suite.kill()
        await suite.start()

        async def there() -> bool:
            return (await opened(suite, path)).status == 200

        await until("the page after the restart", there, within_s=30)
        # Calls of the gateway go to one orchestrator after the other.
        assert [(await opened(suite, path)).status for _ in range(6)] == [200] * 6
        done = await sent(suite, path, decision="approve", **{"form.limit": "1"})
        assert done.status == 200, done.text
        assert await decisions(suite, execution) == [("ida", True)]
    assert path.removeprefix("/approve/") not in suite.log.read_text(errors="replace")
