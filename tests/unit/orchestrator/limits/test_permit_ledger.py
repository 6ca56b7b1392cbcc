"""Permits of limits: as many as there are, to who waits longest, and none lost."""

from collections.abc import Callable
from dataclasses import replace

from flowmesh.orchestrator.limits.permit_ledger import LimitValues, PermitLedger, PermitRequest
from flowmesh.orchestrator.limits.ready_queues import Need
from flowmesh.orchestrator.limits.rules import Rules

TWO = Need("workflow:w", "workflow:w", concurrency=2)
ONE = Need("node:w/a", "node:w/a", concurrency=1)
TEN_A_SECOND = Need("upstream:api", "upstream:api", rate=10.0, burst=2)


class Desk:
    """A ledger with a controlled clock and controlled limits; records later grants."""

    def __init__(self, partitions: int = 1, *, settled: bool = True) -> None:
        self.now_ms = 0.0
        self.set: dict[str, LimitValues | None] = {}
        self.rules = Rules()
        self.told: list[str] = []
        self.wakes: list[tuple[float, Callable[[], None]]] = []
        self.ledger = PermitLedger(
            limit_values=lambda _, need: self.set.get(
                need.rule, self.rules.limit_values("default", need)
            ),
            now_ms=lambda: self.now_ms,
            wake_at=lambda at_ms, wake: self.wakes.append((at_ms, wake)),
            partitions=partitions,
        )
        if settled:
            self.ledger.report(dict.fromkeys(range(partitions), 1), [])

    def ask(self, token: str, *needs: Need, due_ms: float = 0.0, fair: str = "") -> PermitRequest:
        return PermitRequest(
            "default", token, 0, 1, needs, due_ms, fair, lambda ask: self.told.append(ask.token)
        )

    def take(self, token: str, *needs: Need, due_ms: float = 0.0, fair: str = "") -> bool:
        return self.ledger.take(self.ask(token, *needs, due_ms=due_ms, fair=fair))

    def pass_ms(self, milliseconds: float) -> None:
        until_ms = self.now_ms + milliseconds
        while due := sorted(wake for wake in self.wakes if wake[0] <= until_ms):
            self.wakes.remove(due[0])
            self.now_ms = due[0][0]
            due[0][1]()
        self.now_ms = until_ms

    def in_use(self, name: str) -> int:
        return next((c.in_use for c in self.ledger.counters("default") if c.name == name), 0)


def test_a_grant_waits_until_the_home_has_the_limits_of_the_request() -> None:
    """By limits of before more would leave than may; who has them by those asks again."""
    desk = Desk()
    desk.rules = Rules(version=1)
    before, now = replace(TWO, version=1), replace(TWO, version=2)
    assert [desk.take(token, before) for token in "ab"] == [True, True]
    assert not desk.take("a", now)
    assert not desk.take("c", now)
    desk.ledger.serve_all()
    assert desk.told == []
    desk.rules = Rules(version=2)
    desk.ledger.serve_all()
    assert desk.told == ["a"]


def test_no_more_than_the_limit_at_once() -> None:
    """Later requests are granted when a task has ended."""
    desk = Desk()
    assert [desk.take(token, TWO) for token in "abc"] == [True, True, False]
    desk.ledger.release("a", 0, 1)
    assert desk.told == ["c"]
    assert desk.in_use("workflow:w") == 2


def test_asking_and_giving_back_twice_counts_once() -> None:
    """A permit belongs to one attempt: messages may be repeated."""
    desk = Desk()
    assert desk.take("a", TWO)
    assert desk.take("a", TWO)
    assert desk.in_use("workflow:w") == 1
    desk.ledger.release("a", 0, 1)
    desk.ledger.release("a", 0, 1)
    assert desk.in_use("workflow:w") == 0


def test_several_limits_are_taken_at_once_or_not_at_all() -> None:
    """A task that waits for one of them does not hold the others."""
    desk = Desk()
    assert desk.take("a", TWO, ONE)
    assert not desk.take("b", TWO, ONE)
    assert desk.in_use("workflow:w") == 1
    assert desk.take("c", TWO)
    desk.ledger.release("a", 0, 1)
    assert desk.told == ["b"]


def test_the_longest_wait_is_next_and_keys_take_turns() -> None:
    """Within a key by what is due first."""
    desk = Desk()
    desk.take("first", ONE)
    for token, due_ms, fair in [("a2", 2, "a"), ("a1", 1, "a"), ("b1", 9, "b")]:
        desk.take(token, ONE, due_ms=due_ms, fair=fair)
    for token in ("first", "a1", "b1"):
        desk.ledger.release(token, 0, 1)
    assert desk.told == ["a1", "b1", "a2"]


def test_a_request_that_arrives_with_a_free_permit_queues_too() -> None:
    """Before those that wait are looked at: else many that come would pass by who waits longest."""
    desk = Desk()
    assert [desk.take(token, TEN_A_SECOND) for token in "abc"] == [True, True, False]
    desk.now_ms = 100.0
    assert not desk.take("d", TEN_A_SECOND)
    desk.pass_ms(0)
    assert desk.told == ["c"]
    desk.pass_ms(110)
    assert desk.told == ["c", "d"]


def test_those_that_gave_up_wait_no_more_and_take_no_room() -> None:
    """Neither counted nor kept, wherever they stood in line."""
    desk = Desk()
    assert desk.take("first", ONE)
    assert not desk.take("patient", ONE)
    for number in range(1_000):
        assert not desk.take(str(number), ONE, fair=str(number % 3))
        desk.ledger.release(str(number), 0, 1)
    (counter,) = desk.ledger.counters("default")
    assert counter.waiting_count == 1
    assert sum(map(len, counter.waiting.values())) < 100
    desk.ledger.release("first", 0, 1)
    assert desk.told == ["patient"]
    assert (counter.in_use, counter.waiting_count) == (1, 0)


def test_a_raised_limit_lets_those_go_that_wait() -> None:
    """Limits are adjusted while tasks run; a lowered one waits for those that are out."""
    desk = Desk()
    for token in "abcd":
        desk.take(token, TWO)
    desk.set["workflow:w"] = (3, 0.0, 0)
    desk.ledger.serve_all()
    assert desk.told == ["c"]
    desk.set["workflow:w"] = (1, 0.0, 0)
    desk.ledger.release("a", 0, 1)
    desk.ledger.release("b", 0, 1)
    assert desk.told == ["c"]
    desk.ledger.release("c", 0, 1)
    assert desk.told == ["c", "d"]


def test_a_rate_is_held_with_one_burst_after_a_pause() -> None:
    """Tokens come in one by one; nothing is polled between them."""
    desk = Desk()
    tokens = [str(number) for number in range(6)]
    assert [desk.take(token, TEN_A_SECOND) for token in tokens] == [True, True, *[False] * 4]
    assert len(desk.wakes) == 1
    desk.pass_ms(250)
    assert desk.told == ["2", "3"]
    desk.pass_ms(10_000)
    assert desk.told == ["2", "3", "4", "5"]
    assert [desk.take(f"later-{n}", TEN_A_SECOND) for n in range(3)] == [True, True, False]


def test_what_a_service_asks_for_closes_its_bucket() -> None:
    """After a Retry-After nothing leaves for so long, however many tokens there are."""
    desk = Desk()
    assert desk.take("a", TWO, TEN_A_SECOND)
    desk.ledger.close("a", 0, 5_000)
    assert not desk.take("b", TWO, TEN_A_SECOND)
    desk.pass_ms(4_900)
    assert desk.told == []
    desk.pass_ms(200)
    assert desk.told == ["b"]


def test_nothing_is_granted_before_all_partitions_have_reported() -> None:
    """A new giver knows of no permit that is out: it would give too many."""
    desk = Desk(partitions=2, settled=False)
    assert not desk.take("new", TWO)
    held = [replace(desk.ask(token, TWO)) for token in ("old-1", "old-2")]
    desk.ledger.report({0: 1}, held)
    assert desk.told == []
    desk.ledger.report({1: 1}, [])
    assert desk.told == []
    desk.ledger.release("old-1", 0, 1)
    assert desk.told == ["new"]


def test_a_new_owner_reports_the_permits_of_its_partition_again() -> None:
    """Permits of a dead one are not lost, those of tasks it still runs are not given twice."""
    desk = Desk()
    for token in ("ended", "runs", "waits"):
        desk.take(token, TWO)
    desk.ledger.report({0: 2}, [desk.ask("runs", TWO)])
    assert desk.in_use("workflow:w") == 1
    # Requests to the old owner are repeated to the new one.
    assert desk.told == []
    again = desk.ask("waits", TWO)
    again.epoch = 2
    assert desk.ledger.take(again)


def test_an_owner_of_before_gets_nothing() -> None:
    """A request in flight when its partition was taken would never be released."""
    desk = Desk()
    desk.ledger.report({0: 5}, [])
    assert not desk.take("late", TWO)
    assert desk.in_use("workflow:w") == 0


def test_what_an_owner_of_before_gives_back_its_successor_keeps() -> None:
    """Attempts have one token wherever their partition is: what comes late would take the permit
    from a task that runs, or make one wait for ever.
    """
    desk = Desk()
    desk.ledger.report({0: 2}, [replace(desk.ask("runs", ONE), epoch=2)])
    assert not desk.ledger.take(replace(desk.ask("waits", ONE), epoch=2))
    for token in ("runs", "waits"):
        desk.ledger.release(token, 0, 1)
    assert desk.in_use("node:w/a") == 1
    desk.ledger.release("runs", 0, 2)
    assert desk.told == ["waits"]


def test_what_was_given_while_a_report_was_on_its_way_stays_given() -> None:
    """It says that the task waits still; else another one would get the same permit."""
    desk = Desk()
    for token in ("given", "ended"):
        assert desk.take(token, TWO)
    desk.ledger.report({0: 1}, [], wanted={"given"})
    assert desk.in_use("workflow:w") == 1
    desk.ledger.release("given", 0, 1)
    assert desk.in_use("workflow:w") == 0


def test_what_is_held_is_not_given_once_more() -> None:
    """A task that waited has come back with a worker: its ask is void."""
    desk = Desk()
    assert [desk.take(token, TWO) for token in "abc"] == [True, True, False]
    desk.ledger.report({0: 1}, [desk.ask(token, TWO) for token in "ac"])
    desk.ledger.release("a", 0, 1)
    assert not desk.told
    assert desk.in_use("workflow:w") == 1
