"""Start policies of the executions that are owned here: what the lines say, in time with commits.

All starts with one key come to one owner, whose committer decides them in their order. What is told
to a caller waits for the commit that makes it true; who begins next follows from commits alone, so
a new owner goes on from the rows.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from flowmesh.engine import Command, State
from flowmesh.errors import Conflict, FlowmeshError, Overloaded, Unavailable
from flowmesh.orchestrator.commit.batched_execution import Touched
from flowmesh.orchestrator.dispatch.dispatch_limiter import KEY_CHARACTERS_MAX
from flowmesh.orchestrator.model.arrival_order import Turns
from flowmesh.orchestrator.model.commands import Answer, DebounceWork, Started, StartWork, Work
from flowmesh.orchestrator.model.concurrency_groups import (
    Joins,
    Line,
    Lines,
    Member,
    next_steps,
    phase_of,
)
from flowmesh.orchestrator.model.errors import Moved, RequestReused, partition_unavailable
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.storage.batch import CommitBatch
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.plan import RenderError, StartPolicy

ANSWERED_MAX = 20_000
"""Requests that an earlier start's execution answered which are kept in memory, the last ones: a
repeat may have looked for itself in the rows just before they were written."""


EARLY_MAX = 10_000
"""Starts that wait until the lines of their partition are read."""


AGAIN = (Moved, Overloaded, Unavailable)
ASK_AGAIN_S = 0.2
"""After this an execution is told again that it is to begin, or to make room."""


class Aside:
    """A start that creates nothing, and what it is answered with once its batch is committed."""

    __slots__ = ("answer", "member", "start")

    def __init__(self, start: StartWork, answer: Started | FlowmeshError, member: Member | None):
        self.start = start
        self.answer = answer
        self.member = member


class Starts:
    """The lines, the starts of the batch that is being committed, and what follows from it."""

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        epochs: Mapping[int, int],
        now_us: Callable[[], int],
        submit: Callable[[Work], None],
        exclusively: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
    ) -> None:
        self.lines = Lines()
        self._store = store
        self._epochs = epochs
        self._now_us = now_us
        self._submit = submit
        self._exclusively = exclusively
        self._known: set[int] = set()
        # Starts that came before the lines of their partition were read.
        self._early: list[StartWork] = []
        self._asides: list[Aside] = []
        self._placed: list[StartWork] = []
        # Requests that this batch has others answer, and what came under one of them again.
        self._named: set[tuple[str, str]] = set()
        self._again: list[StartWork] = []
        # The starts of each line that are being looked up.
        self._turns = Turns()
        self._answered: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()

    # --- whose lines they are ---

    async def load(self, partitions: Sequence[int]) -> None:
        """Reads the lines of partitions that were gained, while nothing is committed."""
        await self._exclusively(partial(self._load, partitions))

    async def _load(self, partitions: Sequence[int]) -> None:
        left = [each for each in partitions if each in self._epochs]
        changed: dict[int, Line] = {}
        while left:
            epochs = {each: self._epochs[each] for each in left}
            rows = await self._store.rows("starts_of", partitions=left, now_us=self._now_us())
            # What another owner may have committed meanwhile is read again.
            read = {each for each in left if self._epochs.get(each) == epochs[each]}
            self._forget(read)
            for row in rows:
                if partition_of(row["execution_id"]) in read:
                    line = self.lines.restore(row)
                    changed[id(line)] = line
            self._known.update(read)
            left = [each for each in left if each in self._epochs and each not in read]
        for line in changed.values():
            self._move_on(line)
        early, self._early = self._early, []
        for start in early:
            self._submit(start)

    def _forget(self, partitions: Iterable[int]) -> None:
        self._known.difference_update(partitions)
        self.lines.drop_partitions(partitions)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        self._forget(partitions)
        early, self._early = self._early, []
        for start in early:
            if start.partition in self._epochs:
                self._early.append(start)
            else:
                start.answer(Moved(start.partition))

    async def known(self, start: StartWork) -> Started | None:
        """What a start was answered before under its request id, by whoever owned its line.

        Returns to starts of one line in the order in which they came, so that whoever submits at
        once keeps it, however long each was looked up.
        """
        name = (start.namespace, start.plan.workflow_id, start.start.key)
        return await self._turns.kept(name, self._under(start))

    async def _under(self, start: StartWork) -> Started | None:
        start.epoch = self._epochs.get(start.partition, 0)
        if not start.request_id:
            return None
        rows = await self._store.rows(
            "started_under", namespaces=[start.namespace], request_ids=[start.request_id]
        )
        if not rows:
            return None
        if rows[0]["start_digest"] != start.start_digest:
            raise RequestReused(start.request_id, rows[0]["id"], rows[0]["start_digest"])
        return Started(rows[0]["id"], created=False)

    # --- before the commit ---

    def place(self, start: StartWork, execution_id: str, now_us: int) -> Work | None:
        """What is to be decided for a start; None if it creates nothing, or has to wait."""
        policy = start.plan.start
        if policy is None:
            return start
        if start.partition not in self._known:
            if len(self._early) < EARLY_MAX:
                self._early.append(start)
            else:
                start.answer(partition_unavailable(start.partition))
            return None
        if start.epoch and start.epoch != self._epochs.get(start.partition):
            # Whoever owned it meanwhile may have answered it: it has to be looked up again.
            start.answer(Moved(start.partition))
            return None
        named = (start.namespace, start.request_id)
        before = self._answered.get(named)
        if before is not None and start.request_id:
            start.answer(repeated(start, *before))
            return None
        if named in self._named:
            # By now another one may hold the key: it is answered as the first, once that is.
            self._again.append(start)
            return None
        return self._place(start, policy, execution_id, now_us)

    def _place(
        self, start: StartWork, policy: StartPolicy, execution_id: str, now_us: int
    ) -> Work | None:
        command = start.start
        command.waits = False
        name = (start.namespace, start.plan.workflow_id, command.key)
        place = self.lines.place(name, execution_id, policy, command, now_us)
        if isinstance(place, Member):
            start.execution_id = execution_id
            self._placed.append(start)
            return start
        if not isinstance(place, Joins):
            self._asides.append(Aside(start, place, None))
            return None
        joined = Started(place.member.execution_id, created=False)
        if start.request_id:
            self._named.add((start.namespace, start.request_id))
        if place.debounces:
            return DebounceWork(start, joined.execution_id, partial(self._debounced, start, joined))
        self._asides.append(Aside(start, joined, place.member))
        return None

    def _debounced(self, start: StartWork, joined: Started, answer: Answer | Exception) -> None:
        """It is answered if the one that waited has its input, else placed anew."""
        if isinstance(answer, int):
            self._note(start, joined.execution_id)
            start.answer(joined)
        elif isinstance(answer, Moved):
            start.answer(answer)
        else:
            self._submit(start)

    def fill(self, batch: CommitBatch, one: Touched) -> None:
        """Adds what an execution's commit changes of its line."""
        state = one.entry.state
        if not state.plan.start_shared:
            return
        member, phase = self.lines.members.get(state.execution_id), phase_of(state)
        is_start = one.start is not None
        if member is not None and member.phase != phase:
            batch.add_place(one.partition, member, phase, self._now_us(), is_new=is_start)
        elif member is None:
            # Its partition was gained a moment ago: its row says the rest.
            stranger = Member(state.execution_id, ("", "", ""), "")
            batch.add_place(one.partition, stranger, phase, self._now_us())
        for work in one.works:
            if isinstance(work, DebounceWork) and isinstance(work.verdict, int):
                batch.add_join(work.start, state.execution_id, is_new=is_start)

    def fill_asides(self, batch: CommitBatch, epochs: dict[int, int]) -> None:
        """Adds the starts of a batch that others answer, so that repeats are answered alike."""
        for aside in self._asides:
            if aside.start.partition not in self._epochs:
                continue
            epochs[aside.start.partition] = self._epochs[aside.start.partition]
            if isinstance(aside.answer, Started):
                batch.add_join(
                    aside.start,
                    aside.answer.execution_id,
                    is_new=aside.member is not None and not aside.member.phase,
                )

    @property
    def joined(self) -> bool:
        """Whether starts of this batch are to be noted though nothing else is."""
        return any(isinstance(aside.answer, Started) for aside in self._asides)

    # --- after the commit ---

    def committed(self, done: Iterable[Touched], partitions: Iterable[int]) -> None:
        """Takes over what was committed, answers starts that created nothing, moves lines on."""
        held, created = frozenset(partitions), set()
        changed: dict[int, Line] = {}
        for one in done:
            if not one.entry.state.plan.start_shared:
                continue
            created.add(one.entry.state.execution_id)
            if one.start is not None:
                self._note(one.start, one.start.execution_id)
            line = self.lines.observe(one.entry.state)
            if line is not None and one.kept:
                changed[id(line)] = line
        placed, self._placed = self._placed, []
        for start in placed:
            if start.execution_id not in created:
                left = self.lines.forget(start.execution_id)
                if left is not None:
                    changed[id(left)] = left
        for line in changed.values():
            self._move_on(line)
        asides, self._asides = self._asides, []
        for aside in asides:
            self._answer(aside, held)
        for start in self._take_again():
            self._submit(start)

    def _take_again(self) -> list[StartWork]:
        again, self._again = self._again, []
        self._named.clear()
        return again

    def _answer(self, aside: Aside, held: frozenset[int]) -> None:
        start, answer, member = aside.start, aside.answer, aside.member
        if start.partition not in held:
            start.answer(Moved(start.partition))
        elif member is not None and not member.phase:
            # What was to answer it was not created.
            self._submit(start)
        elif isinstance(answer, Started):
            self._note(start, answer.execution_id)
            start.answer(answer)
        else:
            start.answer(answer)

    def failed(self, answer: Exception | None = None) -> None:
        """Nothing of the batch was committed: its starts are answered so, or placed anew."""
        for start in self._placed:
            self.lines.forget(start.execution_id)
        self._placed.clear()
        asides, self._asides = self._asides, []
        for start in [*(aside.start for aside in asides), *self._take_again()]:
            if answer is not None:
                start.answer(answer)
            else:
                self._submit(start)

    def _move_on(self, line: Line) -> None:
        for member, command in next_steps(line):
            self._ask(member, command)

    def _ask(self, member: Member, command: Command) -> None:
        partition = partition_of(member.execution_id)
        if partition is None or partition not in self._epochs:
            return

        def asked(answer: Answer | Exception) -> None:
            if isinstance(answer, AGAIN) and partition in self._epochs:
                loop = asyncio.get_running_loop()
                loop.call_later(ASK_AGAIN_S, self._ask, member, command)

        self._submit(Work(member.execution_id, partition, command, asked))

    def _note(self, start: StartWork, execution_id: str) -> None:
        if start.request_id:
            self._answered[start.namespace, start.request_id] = execution_id, start.start_digest
            while len(self._answered) > ANSWERED_MAX:
                self._answered.popitem(last=False)

    # --- looking ---

    def holders(self, state: State) -> tuple[tuple[str, ...], int]:
        """Which executions hold the key of one that waits, and how many wait before it."""
        member = self.lines.members.get(state.execution_id)
        if member is None:
            return (), 0
        line = self.lines.by_name[member.name]
        return tuple(sorted(line.begun)), line.turn.index(member) if member in line.turn else 0


def start_key(policy: StartPolicy, data: bytes) -> str:
    """The key of a start with this input; what it cannot be rendered for has the empty one."""
    if policy.key is None:
        return ""
    try:
        rendered = policy.key.render({"input": msgspec.json.decode(data) if data else None})
    except RenderError:
        return ""
    return str(rendered).replace("\0", "")[:KEY_CHARACTERS_MAX]


def repeated(start: StartWork, execution_id: str, digest: bytes) -> Started | Conflict:
    """The answer under a request id that an execution with this digest has."""
    if digest != start.start_digest:
        return RequestReused(start.request_id, execution_id, digest)
    return Started(execution_id, created=False)
