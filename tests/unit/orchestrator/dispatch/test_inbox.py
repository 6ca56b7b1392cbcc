"""Batches of commands, and the bounds of those that wait for one."""

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.engine import Start, TaskEnded
from flowmesh.errors import Overloaded
from flowmesh.orchestrator.commit.inbox import COMMAND_BYTES, Inbox
from flowmesh.orchestrator.model.commands import STALE, Answer, PendingCommand

MIB = 1 << 20
SECOND_US = 1_000_000


def inbox() -> Inbox:
    return Inbox(lambda: SECOND_US)


def result(name: str, size: int = COMMAND_BYTES, cause: int = 0) -> PendingCommand:
    """A result of a task with an estimated size in bytes."""
    output = payload_pb2.Payload(data=b"x" * (size - COMMAND_BYTES))
    made = PendingCommand(name, 1, TaskEnded("a", 1, output=output))
    made.cause = cause
    return made


def start(name: str, answers: list[Answer | Exception]) -> PendingCommand:
    return PendingCommand(name, 1, Start(payload_pb2.Payload(), name, "", ""), answers.append)


def names(taken: list[PendingCommand]) -> list[str]:
    return [each.execution_id for each in taken]


def test_a_batch_has_500_commands_or_3_mib() -> None:
    """Results of running executions go before starts; the last command may be larger."""
    made = inbox()
    made.submit(start("start", []))
    for number in range(600):
        made.submit(result(str(number)))
    assert names(made.take()) == [str(number) for number in range(500)]
    assert names(made.take()) == [*(str(number) for number in range(500, 600)), "start"]
    for name in "abcd":
        made.submit(result(name, MIB))
    assert names(made.take()) == ["a", "b", "c"]
    for name in "ef":
        made.submit(result(name, MIB - 1))
    assert names(made.take()) == ["d", "e", "f"]
    assert made.take() == []


def test_callers_are_refused_while_too_many_commands_wait() -> None:
    """20,000, or 64 MiB; results of tasks are always taken."""
    for count, size in ((20_000, COMMAND_BYTES), (64, MIB)):
        made, answers = inbox(), list[Answer | Exception]()
        for _ in range(count - 1):
            made.submit(result("r", size))
        made.submit(start("taken", answers))
        assert answers == [], "one more has room"
        made.submit(result("r", size))
        made.submit(start("refused", answers))
        (refused,) = answers
        assert isinstance(refused, Overloaded)
        assert refused.retry_after_ms == 100
        assert len(made) == count + 1
        made.take()
        made.submit(start("later", answers))
        assert answers == [refused]


def test_commands_that_were_put_apart_are_a_batch_of_their_own() -> None:
    """Behind all others; what is put back as the first keeps its order."""
    made = inbox()
    made.submit(result("a"))
    made.put_apart([result("b"), result("c")])
    made.put_apart([result("d")])
    made.put_back([result("1"), result("2")], first=True)
    made.put_back([result("z")], first=False)
    batches = [["1", "2", "a"], ["b", "c"], ["d"], ["z"], []]
    assert [names(made.take()) for _ in batches] == batches


def test_only_results_of_repeatable_tasks_are_decided_beside_a_commit() -> None:
    """Unless it does not take them."""
    made, offered = inbox(), list[str]()

    def decide(pending: PendingCommand) -> bool:
        offered.append(pending.execution_id)
        return pending.execution_id == "taken"

    with made.beside(decide):
        for name, repeatable in (("taken", True), ("left", True), ("other", False)):
            pending = result(name)
            pending.repeatable = repeatable
            made.submit(pending)
    late = result("late")
    late.repeatable = True
    made.submit(late)
    assert offered == ["taken", "left"]
    assert names(made.take()) == ["left", "other", "late"]


def test_results_of_tasks_that_were_sent_ahead_in_vain_are_void() -> None:
    """Those of one execution, because of later events than the committed ones."""
    made, answers = inbox(), list[Answer | Exception]()
    for name, cause in (("e", 5), ("e", 6), ("f", 6)):
        pending = result(name, cause=cause)
        pending.reply = answers.append
        made.submit(pending)
    made.void("e", 5)
    assert answers == [STALE]
    assert [(each.execution_id, each.cause) for each in made.take()] == [("e", 5), ("f", 6)]
