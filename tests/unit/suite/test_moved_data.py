"""Parts of a project that a move copies to another cell: files, events and definitions."""

from base64 import b64encode
from typing import Any

import pytest

from flowmesh.cells import COPYING, SWITCHING, Move
from flowmesh.errors import NotFound, Overloaded, WrongState
from flowmesh.suite.cells import pausing
from flowmesh.suite.cells.copying import Definitions
from flowmesh.suite.cells.events import Events
from flowmesh.suite.cells.files import Files
from flowmesh.suite.cells.parts import CannotMove
from flowmesh.suite.cells.pausing import Triggers
from tests.unit.suite.scripted_cells import Answers, Cells

COPIES = Move(source=0, target=1, step=COPYING)
SWITCHES = Move(source=0, target=1, step=SWITCHING, paused=(("report", "nightly", 5),))
Calls = list[tuple[str, dict[str, Any]]]
TENANTS: Answers = {
    "ListCompanies": {"companies": [{"id": "c"}]},
    "ListOrganizations": {"organizations": [{"id": "o"}]},
    "ListProjects": {"projects": [{"id": "p", "namespace": "shop"}]},
}


def file(path: str, version: int, digest: str) -> dict[str, Any]:
    return {"path": path, "version": version, "digest": digest}


def files(*found: dict[str, Any], **more: Any) -> Answers:
    return {**TENANTS, "ListFiles": {"files": list(found)}, **more}


def one_version(request: Any) -> dict[str, Any]:
    """Return version 2 as it is at the source, and each other one with a digest of its own."""
    if request.version == 3:
        raise NotFound("FILE_NOT_FOUND", "it is deleted")
    return {"file": file(request.path, request.version, f"d{request.version}")}


def stored(request: Any) -> dict[str, Any]:
    return {"file": file(request.path, request.version, f"d{request.version}")}


A4 = file("a", 4, "d4")
PUT = [("PutFile", {"path": "a", "version": each, "data": "bW9yZQ=="}) for each in (1, 2, 4)]


@pytest.mark.parametrize(
    ("there", "changes"),
    [
        ((), PUT),
        ((file("a", 2, "d2"),), PUT[2:]),
        ((file("a", 2, "other"),), [("DeleteFile", {"path": "a"}), *PUT]),
        ((A4,), []),
        ((A4, file("b", 1, "d1")), [("DeleteFile", {"path": "b"})]),
    ],
)
async def test_files_are_copied_with_their_versions(
    there: tuple[dict[str, Any], ...], changes: Calls
) -> None:
    """Those that the target lacks; a deleted version is left out."""
    cells = Cells(files(A4, GetFile=one_version), files(*there, PutFile=stored))
    part = cells.part(Files)
    await part.copy()
    assert cells.target.changes == changes
    await part.switch(COPIES)
    assert len(cells.target.changes) == 2 * len(changes)


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ({"PutFile": Overloaded("QUOTA", "the quota is used up")}, "the file a: the quota is used"),
        ({"PutFile": {"file": file("a", 1, "other")}}, "version 1 arrived with other bytes"),
        ({"PutFile": WrongState("VERSION_EXISTS", "it is there"), "GetFile": stored}, ""),
        (
            {
                "PutFile": WrongState("VERSION_EXISTS", "it is there"),
                "GetFile": NotFound("FILE_NOT_FOUND", "it is deleted"),
            },
            "version 1 arrived with other bytes",
        ),
    ],
)
async def test_a_file_that_arrives_otherwise_does_not_move(answers: Answers, problem: str) -> None:
    """A repeated call whose first answer was lost is no problem."""
    cells = Cells(files(file("a", 1, "d1"), GetFile=one_version), files(**answers))
    part = cells.part(Files)
    if not problem:
        await part.copy()
        assert cells.reports == ["copied file a: 1/1"]
        return
    with pytest.raises(CannotMove, match=problem):
        await part.copy()


@pytest.mark.parametrize(
    ("here", "there", "problems", "late"),
    [
        ({}, {}, [], []),
        (files(), {}, [], []),
        (files(A4), {}, ["1 files, and cell eu1 has no such project"], []),
        (files(A4), files(), [], ["the file a"]),
        (files(A4), files(A4), [], []),
    ],
)
async def test_files_need_a_project(
    here: Answers, there: Answers, problems: list[str], late: list[str]
) -> None:
    """Writes to the source after the switch are reported."""
    cells = Cells(here, there)
    part = cells.part(Files)
    assert await part.problems(COPIES) == problems
    assert await part.late() == late
    if not (here and there):
        await part.copy()
        assert cells.target.changes == []


def streams(*found: dict[str, Any], **more: Any) -> Answers:
    return {"ExportStreams": [{"streams": [{"info": each} for each in found]}, {}], **more}


CART = {"stream": "cart", "version": 3}


@pytest.mark.parametrize(
    ("move", "there", "problems"),
    [
        (COPIES, (), []),
        (COPIES, (CART,), []),
        (COPIES, ({**CART, "version": 4},), ["another stream cart in cell eu1"]),
        (COPIES, ({**CART, "stream": "own"},), ["another stream own in cell eu1"]),
        (SWITCHES, ({**CART, "stream": "own"},), []),
    ],
)
async def test_streams_of_the_target_continue_at_the_source(
    move: Move, there: tuple[dict[str, Any], ...], problems: list[str]
) -> None:
    """A switch does not look again."""
    cells = Cells(streams(CART), streams(*there))
    assert await cells.part(Events).problems(move) == problems


async def test_events_are_copied_with_groups_and_projections() -> None:
    """Snapshots that the target has are not sent; groups and projections are made anew."""
    listed = [{"stream": "cart", "snapshot_version": 2}, {"stream": "same", "snapshot_version": 1}]
    cells = Cells(
        streams(
            CART,
            ReadEvents=[{"next_after": 9}, {"next_after": 9}],
            ListStreams={"streams": [*listed, {"stream": "gone", "snapshot_version": 1}, CART]},
            LoadStream=lambda request: (
                {"snapshot": {"version": 2}} if request.stream == "cart" else {}
            ),
            ListEventGroups={"groups": [{"event_group": "mail", "checkpoint": 7}]},
            ExportDeliveries=[{"deliveries": [{"position": 8}]}, {}],
            ListProjections={"projections": [{"projection": "totals", "checkpoint": 7}]},
        ),
        streams(
            ListStreams={"streams": listed[1:]},
            ListEventGroups={"groups": [{"event_group": "old"}]},
            ListProjections={"projections": [{"projection": "old"}]},
        ),
    )
    await cells.part(Events).switch(SWITCHES)
    assert cells.target.changes == [
        ("ImportEvents", {}),
        ("ImportEvents", {"head": "9"}),
        ("ImportStreams", {"streams": [{"info": CART | {"version": "3"}}]}),
        ("PutSnapshot", {"stream": "cart", "snapshot": {"version": "2"}}),
        ("DeleteEventGroup", {"event_group": "old"}),
        (
            "PutEventGroup",
            {"group": {"event_group": "mail", "start_after": "7", "checkpoint": "7"}},
        ),
        ("ImportDeliveries", {"event_group": "mail", "deliveries": [{"position": "8"}]}),
        ("DeleteProjection", {"projection": "old"}),
        ("PutProjection", {"projection": {"projection": "totals", "filter": {}}}),
    ]


def triggers(*found: dict[str, Any]) -> Answers:
    return {"ListTriggers": {"triggers": list(found)}}


NIGHTLY = {"workflow_id": "report", "trigger": {"id": "nightly"}, "next_at_us": 5 * 10**15}


async def test_the_active_triggers_are_those_of_a_quiet_time() -> None:
    """Triggers without a schedule have no instant."""
    hook = {"workflow_id": "report", "trigger": {"id": "hook"}}
    cells = Cells(triggers(NIGHTLY, hook, {**NIGHTLY, "paused": True}), {})
    found = await Triggers(cells.source).quiet()
    assert found == (("report", "nightly", 5 * 10**15), ("report", "hook", 0))


async def test_a_time_without_instants_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a bounded time; a project with too many triggers does not move."""
    monkeypatch.setattr(pausing, "POLL_S", 0.001)
    monkeypatch.setattr(pausing, "QUIET_WITHIN_S", 0.01)
    busy = {**NIGHTLY, "next_at_us": 5}
    cells = Cells({"ListTriggers": [{"triggers": [busy]}, {"triggers": [NIGHTLY]}]}, {})
    assert len(await Triggers(cells.source).quiet()) == 1
    with pytest.raises(ValueError, match="leave no 5 s without an instant"):
        await Triggers(Cells(triggers(busy), {}).source).quiet()
    with pytest.raises(ValueError, match="more than 1,000 active triggers"):
        await Triggers(Cells(triggers(*[NIGHTLY] * 1_001), {}).source).quiet()


async def test_triggers_are_paused_and_resumed_by_id() -> None:
    """Each once."""
    ids = {"workflow_id": "report", "trigger_id": "nightly"}
    cells = Cells(triggers(NIGHTLY, {**NIGHTLY, "paused": True}), {})
    there = Triggers(cells.source)
    await there.pause(lambda each: each == ("report", "nightly"))
    await there.resume([("report", "nightly")])
    await there.resume([("report", "other")])
    assert cells.source.changes == [("PauseTrigger", ids), ("ResumeTrigger", ids)]


def version(name: str, number: int, digest: str = "", text: str = "{}") -> dict[str, Any]:
    return {
        "version": number,
        "digest": digest or f"{name}{number}",
        "definition": _base64(text),
        "created_at": f"2026-01-0{number}T00:00:00Z",
    }


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def applied(kind: str, name: str) -> Any:
    """Return the answers of an Apply whose versions follow each other."""
    count = iter(range(1, 100))

    def answer(_: Any) -> dict[str, Any]:
        number = next(count)
        return {
            "resources": [
                {"kind": kind, "name": name, "version": number, "digest": f"{name}{number}"}
            ]
        }

    return answer


def workflow(*versions: dict[str, Any], **more: Any) -> Answers:
    return {
        "ListWorkflows": {"workflows": [{"workflow_id": "w"}]},
        "ListWorkflowVersions": {"versions": list(versions)},
        **more,
    }


W1, W2 = version("w", 1), version("w", 2)


@pytest.mark.parametrize(
    ("move", "here", "there", "problems"),
    [
        (COPIES, workflow(W1, W2), workflow(W1), []),
        (COPIES, {}, triggers(NIGHTLY), ["triggers that the cell has from an earlier stay"]),
        (SWITCHES, {}, triggers(NIGHTLY), []),
        (COPIES, workflow(W2), {}, ["the workflow w, which was deleted and made again"]),
        (
            COPIES,
            workflow(W1),
            workflow(version("w", 1, "other")),
            ["version 1 of the workflow w, which is another one in cell eu1"],
        ),
        (
            COPIES,
            workflow(W1),
            workflow(W1, W2),
            ["version 2 of the workflow w, which is another one in cell eu1"],
        ),
    ],
)
async def test_versions_need_their_numbers_at_the_target(
    move: Move, here: Answers, there: Answers, problems: list[str]
) -> None:
    """Each definition that cannot have them is named once."""
    assert await Cells(here, there).part(Definitions).problems(move) == problems


async def test_workflows_without_triggers_are_copied_before_the_switch() -> None:
    """With their labels; one whose text has a trigger follows at the switch."""
    trigger = version("w", 2, text='{"triggers": []}')
    source = {"GetWorkflowSource": {"source": _base64("text"), "content_type": "application/yaml"}}
    labels = {"ListLabels": {"labels": [{"name": "live", "version": 1}]}}
    there = {"ListLabels": {"labels": [{"name": "old", "version": 1}]}}
    cells = Cells(
        workflow(W1, **source, **labels), {**there, "Apply": applied("Workflow", "w"), **triggers()}
    )
    await cells.part(Definitions).copy()
    assert cells.target.changes == [
        ("Apply", {"source": _base64("text"), "content_type": "application/yaml"}),
        ("SetLabel", {"workflow_id": "w", "label": "live", "version": "1"}),
        ("DeleteLabel", {"workflow_id": "w", "label": "old"}),
    ]
    assert cells.reports == ["copied w version 1: 1/1"]
    cells = Cells(workflow(W1, trigger, **source, **labels), there)
    await cells.part(Definitions).copy()
    assert cells.target.changes == []


async def test_due_triggers_fire_at_the_target_once() -> None:
    """Those of the move whose workflow is copied in the switch, and whose instant has passed."""
    cells = Cells(
        workflow(W1, ListLabels=NotFound("WORKFLOW_NOT_FOUND", "it was deleted")),
        {"Apply": applied("Workflow", "w"), **triggers({**NIGHTLY, "workflow_id": "w"})},
    )
    paused = (("w", "nightly", 5), ("w", "later", 5 * 10**15), ("other", "nightly", 5))
    await cells.part(Definitions).switch(Move(source=0, target=1, paused=paused))
    assert [name for name, _ in cells.target.changes] == ["Apply", "FireTrigger"]
    assert cells.target.changes[1][1] == {"workflow_id": "w", "trigger_id": "nightly"}


async def test_a_version_that_becomes_another_one_does_not_move() -> None:
    """The answer of the target has its number and digest."""
    cells = Cells(workflow(W1), {"Apply": applied("Workflow", "other")})
    with pytest.raises(CannotMove, match="version 1 of the workflow w, which is another one"):
        await cells.part(Definitions).copy()


KINDS: list[tuple[Answers, str]] = [
    (workflow(W1), "Workflow"),
    (
        {
            "ListTasks": {"tasks": [{"name": "t", "namespace": "shop"}, {"name": "bundled"}]},
            "ListTaskVersions": {"versions": [version("t", 1)]},
        },
        "WorkflowTask",
    ),
    (
        {
            "ListTemplates": {
                "templates": [
                    {"name": "m", "namespace": "shop", "version": 1},
                    {"name": "bundled", "version": 0},
                ]
            },
            "GetTemplate": {"template": version("m", 1)},
        },
        "WorkflowTemplate",
    ),
]


@pytest.mark.parametrize(("answers", "kind"), KINDS)
async def test_definitions_of_each_kind_are_copied_and_deleted(answers: Answers, kind: str) -> None:
    """Objects deleted at the source are deleted at the target."""
    name = {"Workflow": "w", "WorkflowTask": "t", "WorkflowTemplate": "m"}[kind]
    cells = Cells(answers, {"Apply": applied(kind, name)})
    await cells.part(Definitions).copy()
    assert [each for each, _ in cells.target.changes] == ["Apply"]
    assert await cells.part(Definitions).late() == [
        {
            "Workflow": "version 1 of the workflow w",
            "WorkflowTask": "version 1 of the task t",
            "WorkflowTemplate": "version 1 of the template m",
        }[kind]
    ]
    cells = Cells({}, answers)
    await cells.part(Definitions).copy()
    assert [each for each, _ in cells.target.changes] == [
        {"Workflow": "DeleteWorkflow", "WorkflowTask": "DeleteTask"}.get(kind, "DeleteTemplate")
    ]


async def test_a_canceled_move_gives_the_triggers_back() -> None:
    """Those of the target stop."""
    cells = Cells(triggers({**NIGHTLY, "paused": True}), triggers(NIGHTLY))
    await cells.part(Definitions).cancel(SWITCHES)
    ids = {"workflow_id": "report", "trigger_id": "nightly"}
    assert cells.target.changes == [("PauseTrigger", ids)]
    assert cells.source.changes == [("ResumeTrigger", ids)]
