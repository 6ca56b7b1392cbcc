"""Exchanges, queues and messages of a project that moves to another cell."""

from typing import Any

import pytest

from flowmesh.cells import COPYING, SWITCHING, Move
from flowmesh.errors import NotFound, WrongState
from flowmesh.suite.cells import queues
from flowmesh.suite.cells.parts import CannotMove
from flowmesh.suite.cells.queues import Queues
from tests.unit.suite.scripted_cells import Answers, Cells

COPIES, SWITCHES = (Move(source=0, target=1, step=step) for step in (COPYING, SWITCHING))
Calls = list[tuple[str, dict[str, Any]]]
STREAM = {"queue": "log", "kind": "QUEUE_KIND_STREAM"}
JOBS = {"queue": "jobs", "dead_letter_queue": "dead"}
DEAD = {"queue": "dead"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settlements end at once."""
    monkeypatch.setattr(queues, "QUIET_S", 0.0)


def topology(
    *declared: dict[str, Any],
    exchanges: tuple[dict[str, Any], ...] = (),
    bindings: tuple[dict[str, Any], ...] = (),
    **more: Any,
) -> Answers:
    """Return the answers of a cell; a queue may be given with its state."""
    states = [each if isinstance(each["queue"], dict) else {"queue": each} for each in declared]
    return {
        "ListExchanges": {"exchanges": list(exchanges)},
        "ListBindings": {"bindings": list(bindings)},
        "ListQueues": {"queues": states},
        **more,
    }


def page(*sequences: int, last: int = 0, following: int = 0) -> dict[str, Any]:
    messages = [{"sequence": each, "message": {}} for each in sequences]
    return {"messages": messages, "last_sequence": last, "next_sequence": following}


async def test_the_topology_is_that_of_the_source() -> None:
    """Objects come after those that they name; changed ones are deleted first."""
    main, spare = {"exchange": "main", "alternate": "spare"}, {"exchange": "spare"}
    bound, old = {"source": "main", "queue": "jobs"}, {"source": "main", "queue": "old"}
    cells = Cells(
        topology(JOBS, DEAD, exchanges=(main, spare), bindings=(bound,)),
        topology(
            {"queue": "jobs"}, {**STREAM, "queue": "old"}, exchanges=(spare,), bindings=(old,)
        ),
    )
    await cells.part(Queues).copy()
    assert cells.target.changes == [
        ("Unbind", {"binding": old}),
        ("DeleteQueue", {"queue": "jobs", "if_empty": True}),
        ("DeleteQueue", {"queue": "old"}),
        ("DeclareExchange", {"exchange": main}),
        ("DeclareQueue", {"queue": DEAD}),
        ("DeclareQueue", {"queue": JOBS}),
        ("Bind", {"binding": bound}),
    ]


async def test_an_exchange_that_differs_is_made_anew() -> None:
    """It is deleted before it is declared."""
    here = {"exchange": "main", "alternate": "main"}
    cells = Cells(topology(exchanges=(here,)), topology(exchanges=({"exchange": "main"},)))
    await cells.part(Queues).copy()
    assert cells.target.changes == [
        ("DeleteExchange", {"exchange": "main"}),
        ("DeclareExchange", {"exchange": here}),
    ]


@pytest.mark.parametrize(
    ("here", "there", "problem"),
    [
        (
            topology(JOBS, {**DEAD, "dead_letter_queue": "jobs"}),
            topology(),
            "dead, jobs, whose dead letter queue was deleted or made again",
        ),
        (topology(JOBS), topology(), "jobs, whose dead letter queue was deleted"),
        (
            topology(),
            topology(DEAD, DeleteQueue=WrongState("NOT_EMPTY", "it has messages")),
            "another queue dead in cell eu1, with messages",
        ),
        (
            topology(
                STREAM,
                ExportMessages={
                    "messages": [{"sequence": 1, "message": {"reference": {}}}],
                    "last_sequence": 1,
                },
            ),
            topology(),
            "messages with stored bodies in queue log",
        ),
        (
            topology(STREAM, ExportMessages=page(1, last=1)),
            topology(ImportMessages={"sequence": 7}),
            "another stream log in cell eu1",
        ),
    ],
)
async def test_queues_that_cannot_be_the_same_do_not_move(
    here: Answers, there: Answers, problem: str
) -> None:
    """A ring, a missing queue, other messages, and bodies outside of the queue."""
    with pytest.raises(CannotMove, match=problem):
        await Cells(here, there).part(Queues).copy()


@pytest.mark.parametrize(
    ("pages", "known", "changes"),
    [
        ([page()], [0], []),
        (
            [page(1, 2, last=2)],
            [1, 2],
            [
                ("ImportMessages", 2),
                ("ImportMessages", 2),
            ],
        ),
        (
            [page(3, last=3, following=4), page(4, last=4)],
            [3, 4],
            [("RemoveMessages", 0), ("ImportMessages", 1), ("ImportMessages", 1)],
        ),
    ],
)
async def test_messages_of_a_stream_keep_their_positions(
    pages: list[Any], known: list[int], changes: list[tuple[str, int]]
) -> None:
    """An import is repeated until the target has all; what the source dropped is removed there."""
    cells = Cells(
        topology(STREAM, ExportMessages=pages),
        topology(STREAM, ImportMessages=[{"sequence": each} for each in known]),
    )
    await cells.part(Queues).copy()
    found = [(name, len(call.get("messages", []))) for name, call in cells.target.changes]
    assert found == changes


@pytest.mark.parametrize(
    ("move", "there", "problems"),
    [
        (COPIES, topology({"queue": JOBS}), []),
        (
            COPIES,
            topology({"queue": JOBS, "depth": 1}),
            ["messages in queue jobs of cell eu1 already"],
        ),
        (SWITCHES, topology({"queue": JOBS, "depth": 1}), []),
        (COPIES, topology({"queue": STREAM, "depth": 1}, ImportMessages={"sequence": 1}), []),
        (
            COPIES,
            topology({"queue": STREAM, "depth": 1}),
            ["messages in queue log of cell eu1 already"],
        ),
    ],
)
async def test_queues_of_the_target_are_empty_or_copies(
    move: Move, there: Answers, problems: list[str]
) -> None:
    """A copied stream has messages of the source."""
    cells = Cells(topology(JOBS, STREAM), there)
    assert await cells.part(Queues).problems(move) == problems


async def test_a_switch_suspends_both_cells_and_takes_the_messages() -> None:
    """Groups of streams keep their positions; delayed messages are taken, too."""
    states = (
        {"queue": STREAM, "groups": [{"group": "mail", "acknowledged": "4"}]},
        {"queue": DEAD, "depth": 2},
        {"queue": {"queue": "empty"}},
    )
    exported = {"dead": [page(1, following=2), page(2)], "log": [page()], "": [page()]}
    cells = Cells(
        topology(*states, ExportMessages=lambda request: exported[request.queue].pop(0)),
        topology(STREAM, DEAD, {"queue": "empty"}, ImportMessages={"sequence": 1}),
    )
    part = cells.part(Queues)
    await part.switch(SWITCHES)
    imports = ("ImportMessages", "dead")
    assert [(name, call.get("queue")) for name, call in cells.target.changes] == [
        ("SuspendQueues", None),
        ("SeekGroup", "log"),
        *(imports, imports),
    ]
    assert cells.source.changes == [("SuspendQueues", {"suspended": True})]
    assert cells.target.changes[1][1]["position"] == {"sequence": "5"}
    await part.start(SWITCHES)
    assert cells.target.changes[-1] == ("SuspendQueues", {})


async def test_a_queue_that_follows_is_emptied_at_the_source() -> None:
    """One that was deleted at the target loses its messages."""
    cells = Cells(
        topology({"queue": DEAD, "depth": 1}, ExportMessages=page(3)),
        topology(DEAD, ImportMessages=[{"sequence": 3}, NotFound("QUEUE_NOT_FOUND", "no queue")]),
    )
    await cells.part(Queues).follow()
    assert cells.source.changes == [
        ("RemoveMessages", {"queue": "dead", "sequence": "3"}),
        ("RemoveMessages", {"sequence": str(2**63 - 1)}),
    ]


ALL: Calls = [
    ("RemoveMessages", {"sequence": str(2**63 - 1)}),
    ("DeleteExchange", {"exchange": "main"}),
    ("DeleteQueue", {"queue": "dead"}),
    ("SuspendQueues", {}),
]


async def test_the_end_of_a_move_leaves_one_topology() -> None:
    """At the target; a canceled one leaves that of the source, once it was switched."""
    both = topology(DEAD, exchanges=({"exchange": "main"},))
    cells = Cells(both, both)
    await cells.part(Queues).end()
    assert cells.source.changes == ALL
    cells = Cells(both, both)
    await cells.part(Queues).cancel(COPIES)
    assert cells.target.changes == []
    await cells.part(Queues).cancel(SWITCHES)
    assert cells.target.changes == ALL
    assert cells.source.changes == [("SuspendQueues", {})]
