"""Messages between requesters and grantors of permits, and their order."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.limits.permit_client import PermitClient
from flowmesh.orchestrator.limits.permit_holdings import home_of
from flowmesh.orchestrator.limits.ready_queues import Need, ReadyTask
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.runtime import Clock
from flowmesh.testing.polling import done

ONE = Need("workflow:w", "workflow:w", concurrency=1)
HOME = home_of("default")
ELSEWHERE = (HOME + 1) % 64
PATIENCE_S = 5.0


def wants(_token: str) -> bool:
    """Every task still wants its permits when they come."""
    return True


class Peer:
    """Another orchestrator: answers when it is let to."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.deaf = False

    def __getattr__(self, name: str) -> Any:
        async def call(request: Any, timeout: float) -> Any:
            self.heard.append((name, request))
            await self.answers.wait()
            if self.deaf:
                raise Unavailable("SERVICE_UNAVAILABLE", "it does not answer")
            return SimpleNamespace(granted=[], report=None)

        return call

    @property
    def calls(self) -> list[str]:
        return [name for name, _ in self.heard]


class Side:
    """An orchestrator beside a peer, with tasks in a partition of its own."""

    def __init__(self, *, home: str, peers: tuple[str, ...] = ("peer",)) -> None:
        self.peer = Peer()
        self.peers = list(peers)
        self.epochs = {ELSEWHERE: 1}
        if home == "here":
            self.epochs[HOME] = 1
        self._tasks: set[asyncio.Task[None]] = set()
        ownership: Any = SimpleNamespace(
            epochs=self.epochs,
            lease_valid=True,
            now_us=lambda: 1,
            owner_address=lambda p: None if p in self.epochs else "peer",
            peers=lambda: self.peers,
        )
        self.permits = PermitClient(
            ownership=ownership,
            clock=Clock(),
            address="me",
            stub_at=lambda address: self.peer,  # type: ignore[arg-type,return-value]
            spawn=lambda coroutine: self._tasks.add(asyncio.ensure_future(coroutine)),
        )
        self.permits.recovered([ELSEWHERE])

    @property
    def busy(self) -> bool:
        """True while messages are in flight."""
        return not all(task.done() for task in self._tasks)

    async def heard(self, *calls: str) -> None:
        await done(f"{calls}", lambda: self.peer.calls == [*calls], within_s=PATIENCE_S)


def token(attempt: int = 1) -> str:
    """Of a task whose execution is in a partition of ours."""
    return f"{ExecutionIds(1).make(1, ELSEWHERE)}|a|{attempt}"


def task_of(of: str) -> ReadyTask:
    return ReadyTask(of.partition("|")[0], "a", 1, ELSEWHERE, ("default", "q", "t", ""), 0)


async def test_what_a_report_holds_is_given_back_behind_it() -> None:
    """Before it the report would bring it back, for ever."""
    side, held = Side(home="peer"), token()
    await side.heard("ReportPermits")
    side.peer.answers.clear()
    side.permits.hold("default", held, (ONE,))
    side.permits.sync_peers()
    await side.heard("ReportPermits", "ReportPermits")
    side.permits.release(held)
    for _ in range(10):
        side.permits.renewed()
    assert side.peer.calls[2:] == []
    side.peer.answers.set()
    await side.heard("ReportPermits", "ReportPermits", "ReleasePermits")
    assert [each.ask.token for each in side.peer.heard[1][1].report.held] == [held]


async def test_a_former_home_reports_the_permits_it_holds() -> None:
    """Permits that were released without a receiver are not held any more."""
    side, held = Side(home="here"), token()
    await side.heard("ReportPermits")
    side.permits.hold("default", held, (ONE,))
    side.permits.release(held)
    del side.epochs[HOME]
    side.permits.drop_partitions({HOME})
    await side.heard("ReportPermits", "ReportPermits")
    report = side.peer.heard[1][1].report
    assert (list(report.partitions), list(report.held)) == ([ELSEWHERE], [])


async def test_a_report_that_is_asked_for_comes_by_a_call_of_its_own() -> None:
    """In the order of everything else; with what waits."""
    side, wanted = Side(home="peer"), token()
    await side.heard("ReportPermits")
    assert not side.permits.take(task_of(wanted), wanted, (ONE,), wants)
    await side.heard("ReportPermits", "AskPermits")
    side.permits.sync_peers()
    await side.heard("ReportPermits", "AskPermits", "ReportPermits")
    assert list(side.peer.heard[2][1].report.wanted) == [wanted]


async def test_a_late_peer_gets_the_held_permits() -> None:
    """It may be the home of permits that a former owner of these partitions has acquired."""
    side = Side(home="peer", peers=())
    side.permits.renewed()
    assert side.peer.calls == []
    side.peers.append("peer")
    side.permits.renewed()
    await side.heard("ReportPermits")
    assert list(side.peer.heard[0][1].report.partitions) == [ELSEWHERE]
    side.permits.renewed()
    await done("all messages are sent", lambda: not side.busy, within_s=PATIENCE_S)
    assert side.peer.calls == ["ReportPermits"]


async def test_what_is_wanted_again_is_not_given_back() -> None:
    """A delivery was lost, and the same attempt is sent again before the release is known."""
    side, wanted = Side(home="peer"), token()
    await side.heard("ReportPermits")
    side.peer.answers.clear()
    side.permits.sync_peers()
    await side.heard("ReportPermits", "ReportPermits")
    side.permits.hold("default", wanted, (ONE,))
    side.permits.release(wanted)
    assert not side.permits.take(task_of(wanted), wanted, (ONE,), wants)
    side.epochs |= dict.fromkeys(range(64), 1)
    side.permits.renewed()
    side.permits.recovered(range(64))
    side.peer.answers.set()
    await done("all messages are sent", lambda: not side.busy, within_s=PATIENCE_S)
    assert [each.in_use for each in side.permits.grantor.counters("default")] == [1]
    assert [each.ask.token for each in side.permits.report().held] == [wanted]


async def test_what_is_given_back_once_more_is_not_taken_for_what_was_before() -> None:
    """Asked for and given up while the first word of it was on its way: it needs another one."""
    side, held = Side(home="peer"), token()
    await side.heard("ReportPermits")
    side.permits.hold("default", held, (ONE,))
    side.peer.answers.clear()
    side.permits.release(held)
    await side.heard("ReportPermits", "ReleasePermits")
    assert not side.permits.take(task_of(held), held, (ONE,), wants)
    side.permits.release(held)
    side.peer.answers.set()
    await side.heard("ReportPermits", "ReleasePermits", "AskPermits", "ReleasePermits")


async def test_what_was_not_heard_is_given_back_again() -> None:
    """But for what is wanted by then."""
    side, wanted, ended = Side(home="peer"), token(1), token(2)
    await side.heard("ReportPermits")
    for each in (wanted, ended):
        side.permits.hold("default", each, (ONE,))
    side.peer.answers.clear()
    side.peer.deaf = True
    for each in (wanted, ended):
        side.permits.release(each)
    await side.heard("ReportPermits", "ReleasePermits")
    assert not side.permits.take(task_of(wanted), wanted, (ONE,), wants)
    side.peer.answers.set()
    await done("it was not heard", lambda: not side.busy, within_s=PATIENCE_S)
    side.peer.deaf = False
    side.permits.renewed()
    await side.heard("ReportPermits", "ReleasePermits", "AskPermits", "ReleasePermits")
    first, second = (each for name, each in side.peer.heard if name == "ReleasePermits")
    assert list(first.tokens) == [wanted, ended]
    assert list(second.tokens) == [ended]


async def test_an_ask_that_comes_behind_its_release_takes_nothing() -> None:
    """Its sender has stopped waiting for the answer and would never release the permit."""
    home = Side(home="here")
    home.epochs |= dict.fromkeys(range(64), 1)
    home.permits.recovered(range(64))
    late, fresh = (pb.PermitAsk(token=token(), partition=ELSEWHERE, epoch=1) for _ in "ab")
    for each in (late, fresh):
        each.needs.add(rule=ONE.rule, counter=ONE.counter, concurrency=1)

    def asked(each: pb.PermitAsk, order: int) -> list[str]:
        request = pb.AskPermitsRequest(namespace="default", address="peer", order=order)
        request.asks.append(each)
        return home.permits.grantor.requested(request)

    assert asked(fresh, 1) == [fresh.token]
    released = pb.ReleasePermitsRequest(namespace="default", tokens=[fresh.token, late.token])
    released.epochs.extend([1, 1])
    released.address, released.order = "peer", 3
    home.permits.grantor.released(released)
    assert asked(late, 2) == []
    assert [each.in_use for each in home.permits.grantor.counters("default")] == []
    assert asked(late, 4) == [late.token]


async def test_a_home_of_before_grants_nothing() -> None:
    """The home of today does not count what it gave, and would give the same permit again."""
    side, wanted = Side(home="peer"), token()
    assert not side.permits.take(task_of(wanted), wanted, (ONE,), wants)
    for address, held in (("before", []), ("peer", [wanted])):
        side.permits.granted(
            pb.GrantPermitsRequest(tokens=[wanted], namespace="default", address=address)
        )
        assert [each.ask.token for each in side.permits.report().held] == held


async def test_a_former_home_grants_nothing() -> None:
    """A timer of a rate would let tasks go that wait elsewhere by now."""
    side = Side(home="here")
    side.epochs |= dict.fromkeys(range(64), 1)
    side.permits.recovered(range(64))
    tokens = [token(), token(2)]
    for each in tokens:
        side.permits.take(task_of(each), each, (ONE,), wants)
    [counter] = side.permits.grantor.counters("default")
    ledger = side.permits.grantor.ledger(HOME)
    del side.epochs[HOME]
    side.permits.drop_partitions({HOME})
    counter.in_use = 0
    ledger.woken(counter)
    assert [each.ask.token for each in side.permits.report().held] == tokens[:1]


async def test_what_is_given_under_limits_of_before_is_void() -> None:
    """The ask under those of now is on its way, and takes its place."""
    side, wanted = Side(home="peer"), token()
    for version in (1, 2):
        side.permits.release(wanted)
        need = replace(ONE, version=version)
        assert not side.permits.take(task_of(wanted), wanted, (need,), wants)
    grant = pb.GrantPermitsRequest(namespace="default", address="peer", tokens=[wanted])
    for version, held in ((1, []), (2, [wanted])):
        grant.limits_versions[:] = [version]
        side.permits.granted(grant)
        assert [each.ask.token for each in side.permits.report().held] == held


async def test_a_permit_that_becomes_free_is_granted_to_the_peer_that_waits() -> None:
    """By a message of its own, once."""
    home, ours, theirs = Side(home="here"), token(), token(2)
    home.epochs |= dict.fromkeys(range(64), 1)
    home.permits.recovered(range(64))
    assert home.permits.take(task_of(ours), ours, (ONE,), wants)
    request = pb.AskPermitsRequest(namespace="default", address="peer", order=1)
    request.asks.add(token=theirs, partition=ELSEWHERE, epoch=1)
    request.asks[0].needs.add(rule=ONE.rule, counter=ONE.counter, concurrency=1)
    assert home.permits.grantor.requested(request) == []
    home.permits.release(ours)
    await done("it is granted", lambda: "GrantPermits" in home.peer.calls, within_s=PATIENCE_S)
    await done("nothing is sent", lambda: not home.busy, within_s=PATIENCE_S)
    (grant,) = (each for name, each in home.peer.heard if name == "GrantPermits")
    assert (grant.namespace, list(grant.tokens), grant.address) == ("default", [theirs], "me")
