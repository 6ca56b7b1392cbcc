"""The engine of state machines: opens instances, fires transitions, runs effects after commits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.machines.definition import Definition
from flowmesh.apps.machines.step import (
    AUTOMATIC_IN_A_ROW_MAX,
    Change,
    Instance,
    Outcome,
    fired,
    opened,
    target_of,
)
from flowmesh.apps.machines.store import EffectRow, MachineStore
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry

Log = Callable[..., None]

BEFORE_S = 5.0
RETRY = Retry(attempts=5, initial_s=0.2, factor=4, most_s=60)
CONFLICTS_MAX = 20
DRAINS_MAX = 64
POLL_S = 1.0
DUE_MAX = 256
# The longest time between two looks for instances to delete.
EXPIRE_S = 60.0


@dataclass(frozen=True, slots=True)
class Next:
    """The transition that a hook asks for, with its data; "" for none."""

    transition: str
    data: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class HookEvent:
    """A change as hooks get it; `key` is the same in every attempt."""

    workflow: str
    instance: str
    transition: str
    source: str
    target: str
    data: Mapping[str, Json]
    version: int
    key: str

    def document(self) -> dict[str, Json]:
        return {
            **self.data,
            "workflow": self.workflow,
            "workflowId": self.instance,
            "instanceId": self.instance,
            "transitionId": self.transition,
            "fromState": self.source,
            "toState": self.target,
            "version": self.version,
            "key": self.key,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Work at transitions: before the commit, where it may refuse, or after it."""

    name: str
    run: Callable[[HookEvent], Awaitable[Next | None]]
    workflow: str = ""
    transitions: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    before: bool = False

    def fits(self, workflow: str, transition: str, source: str, target: str) -> bool:
        return (
            self.workflow in ("", workflow)
            and (not self.transitions or transition in self.transitions)
            and (not self.sources or source in self.sources)
            and (not self.targets or target in self.targets)
        )


class Locks(Protocol):
    """Locks across hosts, by name; a lock ends with the host that holds it."""

    async def take(self, name: str) -> bool: ...

    async def release(self, name: str) -> None: ...


class MachineEngine:
    """Instances of the definitions of one engine. It is the service `Machine`."""

    def __init__(
        self,
        *,
        name: str,
        store: MachineStore,
        locks: Locks,
        instances_max: int,
        log: Log,
        ended_kept_s: float = 0.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Instances that have ended are kept for ever if `ended_kept_s` is 0."""
        self.name = name
        self.store = store
        self._locks = locks
        self._max = instances_max
        self._ended_kept_s = ended_kept_s
        self._log = log
        self._now = now
        self.definitions: dict[str, Definition] = {}
        self._hooks: dict[str, Hook] = {}
        self._listeners: list[Callable[[Instance, Change], None]] = []
        self._open = 0
        self._draining: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._gate = asyncio.Semaphore(DRAINS_MAX)
        self._poller: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._running = False

    # Assembly, before the start.

    def add(self, definition: Definition) -> None:
        self.definitions[definition.name] = definition

    def add_hook(self, hook: Hook) -> None:
        self._hooks[hook.name] = hook

    def listen(self, listener: Callable[[Instance, Change], None]) -> None:
        """Call a listener after each commit of this process."""
        self._listeners.append(listener)

    async def start(self) -> None:
        await self.store.start()
        self._open = await self.store.open_count()

    async def open_effects(self) -> None:
        """Begin to run effects, also those that an earlier process left."""
        self._running = True
        self._poller = asyncio.create_task(self._poll())

    async def close(self) -> None:
        """Stop running effects; what is left waits in the store."""
        self._running = False
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)
        if self._draining:
            await asyncio.wait(self._draining.values(), timeout=BEFORE_S * 4)

    # Commands.

    async def open(self, *, workflow: str, instance: str, data: Mapping[str, Json]) -> str:
        """Open an instance and return its state. Raises HttpProblem."""
        definition = self._definition(workflow)
        if self._max and self._open >= self._max:
            text = f"{self.name} has {self._open} open instances; maxInstances is {self._max}"
            raise HttpProblem(503, "INSTANCES_FULL", text)
        outcome = opened(definition, instance, data, self._now())
        change = outcome.change
        hooks = self._fitting(workflow, change.transition, change.source, change.target)
        outcome = opened(definition, instance, data, outcome.change.at, hooks)
        self._open += 1
        stored = False
        try:
            stored = await self.store.create(outcome)
        finally:
            if not stored or outcome.instance.ended:
                self._open -= 1
        if not stored:
            text = f"{workflow} has an instance {instance[:80]!r} already"
            raise HttpProblem(409, "INSTANCE_EXISTS", text)
        self._committed(outcome)
        return outcome.instance.state

    async def fire(
        self, *, workflow: str, instance: str, transition: str, data: Mapping[str, Json]
    ) -> str:
        """Fire a transition and return the new state. Raises HttpProblem."""
        return (await self.fire_once(instance, transition, data, workflow=workflow)).state

    async def fire_once(
        self,
        instance: str,
        transition: str,
        data: Mapping[str, Json],
        *,
        workflow: str = "",
        effect: EffectRow | None = None,
        automatic: bool = False,
        cause: str = "",
    ) -> Instance:
        """Fire a transition; one that a cause has made already is recognised."""
        cause = effect.cause if effect is not None else cause
        for _ in range(CONFLICTS_MAX):
            found = await self.get(instance)
            if workflow and workflow != found.workflow:
                text = f"{instance[:80]!r} is an instance of {found.workflow}, not of {workflow}"
                raise HttpProblem(409, "INSTANCE_EXISTS", text)
            if cause and await self.store.caused(cause) is not None:
                return found
            definition = self._definition(found.workflow)
            target = target_of(definition, found, transition, data)
            await self._before(found, transition, target.name, data)
            names = self._fitting(found.workflow, transition, found.state, target.name)
            outcome = fired(
                definition,
                found,
                transition,
                data,
                self._now(),
                hooks=names,
                automatic=automatic,
                cause=cause,
            )
            if await self.store.advance(outcome, effect):
                self._open -= int(outcome.instance.ended and not found.ended)
                self._committed(outcome)
                return outcome.instance
        text = f"{instance[:80]!r} was changed by others {CONFLICTS_MAX} times meanwhile"
        raise HttpProblem(503, "INSTANCE_BUSY", text)

    async def get(self, id: str) -> Instance:
        """Return an instance. Raises HttpProblem if there is none."""
        found = await self.store.get(id)
        if found is None:
            raise HttpProblem(404, "INSTANCE_NOT_FOUND", f"{self.name} has no instance {id[:80]!r}")
        return found

    async def orphans(self) -> list[Instance]:
        """Return the instances in states that the definitions do not have."""
        found = await self.store.instances()
        return [
            each
            for each in found
            if (d := self.definitions.get(each.workflow)) is None or each.state not in d.states
        ]

    async def revive(self, seq: int) -> bool:
        """Run a dead effect again; return whether there is one of this number."""
        done = await self.store.revive(seq)
        self._wake.set()
        return done

    # Effects.

    def _definition(self, workflow: str) -> Definition:
        found = self.definitions.get(workflow)
        if found is None:
            known = ", ".join(self.definitions) or "none"
            text = f"{self.name} has no definition {workflow[:80]!r}; known: {known}"
            raise HttpProblem(404, "MACHINE_NOT_FOUND", text)
        return found

    def _fitting(self, workflow: str, transition: str, source: str, target: str) -> list[str]:
        return [
            name
            for name, each in self._hooks.items()
            if not each.before and each.fits(workflow, transition, source, target)
        ]

    async def _before(
        self, instance: Instance, transition: str, target: str, data: Mapping[str, Json]
    ) -> None:
        """Run the hooks before a commit; a failing one refuses the transition."""
        for name, hook in self._hooks.items():
            if not hook.before or not hook.fits(
                instance.workflow, transition, instance.state, target
            ):
                continue
            event = HookEvent(
                workflow=instance.workflow,
                instance=instance.id,
                transition=transition,
                source=instance.state,
                target=target,
                data={**instance.data, **data},
                version=instance.version + 1,
                key=f"{instance.id}:{instance.version + 1}:before:{name}",
            )
            try:
                async with asyncio.timeout(BEFORE_S):
                    await hook.run(event)
            except TimeoutError:
                text = f"the hook {name} did not answer within {BEFORE_S:g} s"
                raise HttpProblem(504, "HOOK_LATE", text) from None
            except HttpProblem as error:
                text = f"the hook {name} refuses {transition}: {error.detail}"
                raise HttpProblem(409, "TRANSITION_REFUSED", text) from None

    def _committed(self, outcome: Outcome) -> None:
        for each in self._listeners:
            each(outcome.instance, outcome.change)
        if outcome.effects:
            self._drain_soon(outcome.instance.id)
        if any(each.kind == "timeout" for each in outcome.effects):
            self._wake.set()

    def _drain_soon(self, id: str) -> None:
        if not self._running:
            return
        if id in self._draining:
            self._again.add(id)
            return
        task = asyncio.create_task(self._drain(id))
        self._draining[id] = task
        task.add_done_callback(lambda _: self._drained(id))

    def _drained(self, id: str) -> None:
        self._draining.pop(id, None)
        if id in self._again:
            self._again.discard(id)
            self._drain_soon(id)

    async def _poll(self) -> None:
        """Find effects that are due: after a crash, a pause, or a state's time.

        Also delete the instances that ended too long ago.
        """
        kept_s, looked_at = self._ended_kept_s, 0.0
        while True:
            self._wake.clear()
            pause = POLL_S
            try:
                for id in await self.store.due(self._now(), DUE_MAX):
                    self._drain_soon(id)
                if kept_s and self._now() - looked_at >= min(kept_s, EXPIRE_S):
                    looked_at = self._now()
                    await self.store.expire(looked_at - kept_s)
                at = await self.store.next_due()
                if at is not None:
                    pause = min(POLL_S, max(0.01, at - self._now()))
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                self._log("error", f"effects cannot be read: {error}")
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _drain(self, id: str) -> None:
        """Run the effects of an instance that are due, in order, on one host."""
        async with self._gate:
            lock = f"{self.name}/{id}"
            try:
                if not await self._locks.take(lock):
                    return
            except Exception as error:  # noqa: BLE001 - the poll comes back to it
                self._log("error", f"no lock for {id}: {error}")
                return
            try:
                while self._running:
                    waiting = await self.store.effects(id, self._now())
                    if not waiting:
                        break
                    for effect in waiting:
                        if not await self._run(effect) or not self._running:
                            return
            except Exception as error:  # noqa: BLE001 - the effect is still in the store
                self._log("error", f"effects of {id} were interrupted: {error}")
            finally:
                await self._locks.release(lock)

    async def _run(self, effect: EffectRow) -> bool:
        """Run an effect; return False if those behind it have to wait for it."""
        try:
            if effect.kind == "hook":
                await self._run_hook(effect)
            else:
                await self._run_transition(effect)
        except Exception as error:  # noqa: BLE001 - every failure is retried, then buried
            return await self._failed(effect, error)
        return True

    async def _run_hook(self, effect: EffectRow) -> None:
        hook = self._hooks.get(effect.name)
        if hook is None:
            await self.store.finish(effect)
            self._log("warn", f"the hook {effect.name} is gone; its effect is dropped")
            return
        if await self.store.caused(effect.cause) is not None:
            await self.store.finish(effect)
            return
        instance = await self.get(effect.id)
        change = await self.store.change(effect.id, effect.version)
        event = HookEvent(
            workflow=instance.workflow,
            instance=instance.id,
            transition=change.transition,
            source=change.source,
            target=change.target,
            data=instance.data,
            version=change.version,
            key=effect.cause,
        )
        following = await hook.run(event)
        if following is None or not following.transition:
            await self.store.finish(effect)
            return
        try:
            await self.fire_once(effect.id, following.transition, following.data, effect=effect)
        except HttpProblem as error:
            if error.code != "TRANSITION_REFUSED":
                raise
            self._log("info", f"{following.transition} of {effect.id} came too late")
        await self.store.finish(effect)

    async def _run_transition(self, effect: EffectRow) -> None:
        """Fire an automatic transition, unless the instance has moved on."""
        instance = await self.get(effect.id)
        if instance.version != effect.version:
            await self.store.finish(effect)
            return
        automatic = effect.kind == "auto"
        if automatic and instance.automatic >= AUTOMATIC_IN_A_ROW_MAX:
            text = f"{effect.id} made {AUTOMATIC_IN_A_ROW_MAX} automatic transitions in a row"
            self._log("error", text, code="AUTO_CYCLE")
            await self.store.bury(effect, f"AUTO_CYCLE: {text}")
            return
        await self.fire_once(effect.id, effect.name, {}, effect=effect, automatic=automatic)

    async def _failed(self, effect: EffectRow, error: Exception) -> bool:
        reason = str(getattr(error, "detail", "") or error or type(error).__name__)[:500]
        attempt = effect.attempts + 1
        if attempt >= RETRY.attempts:
            await self.store.bury(effect, reason)
            text = f"{effect.kind} {effect.name} of {effect.id} failed for good: {reason}"
            self._log("error", text, attempts=attempt)
            return True
        await self.store.postpone(effect, self._now() + RETRY.delay_s(attempt), reason)
        text = f"{effect.kind} {effect.name} of {effect.id} failed: {reason}"
        self._log("warn", text, attempt=attempt)
        self._wake.set()
        return False


def names_of(raw: Json) -> frozenset[str]:
    """Return the names of a key that is one name or a list of them."""
    if raw is None:
        return frozenset()
    listed: Sequence[Json] = raw if isinstance(raw, list) else [raw]
    return frozenset(str(each) for each in listed)
