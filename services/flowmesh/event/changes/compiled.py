"""A change trigger, compiled: from changes to firings."""

from dataclasses import dataclass, field
from typing import Any, Final

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.changes import ROW_BYTES_MAX, Change, Position, change_event
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.event.changes.store import ChangeTrigger, Refusals
from flowmesh.event.misfits import Misfit
from flowmesh.event.triggers.store import Firing
from flowmesh.expressions import RenderError
from flowmesh.jsontext import dump_json
from flowmesh.sandbox import Sandbox
from flowmesh.triggers import Filter, Inputs

BATCH_FIRINGS: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024


class ChangeRefused(Exception):
    """A change that starts nothing, with the reason."""


class CompiledChanges:
    """The filter and the input template of a change trigger."""

    def __init__(self, trigger: ChangeTrigger, sandbox: Sandbox) -> None:
        message = trigger.message
        self.trigger = trigger
        self._change: trigger_pb2.ChangeTrigger = message.change
        self._id = message.id
        self._inputs = Inputs(message)
        self._filter = Filter(self._change.filter, "event", trigger.namespace, sandbox)

    async def firing(self, change: Change, at_us: int) -> Firing | None:
        """Return the firing of a change; None if it does not pass the filter.

        Raises ChangeRefused for a change without a valid input, Misfit if the filter fails.
        """
        if change.row.cut_bytes:
            text = f"the row has {change.row.cut_bytes:,} bytes; at most {ROW_BYTES_MAX:,} are read"
            raise ChangeRefused(text)
        event = change_event(self._change.database, change)
        if not await self._passes(event):
            return None
        workflow = self.trigger.workflow
        scope = {"event": event, "trigger": {"id": self._id, "workflow": workflow}}
        try:
            given = self._inputs.of(scope)
        except RenderError as error:
            raise ChangeRefused(f"change {event['id']} makes no valid input: {error}") from error
        payload = dump_json(event) if self._change.signal else b""
        size = max(len(given), len(payload))
        if size > INLINE_BYTES_MAX:
            text = (
                f"the input of change {event['id']} has {size:,} bytes; at most"
                f" {INLINE_BYTES_MAX // 1024} KiB are allowed; select columns in `input`"
            )
            raise ChangeRefused(text)
        return Firing(
            self.trigger.namespace,
            workflow,
            self._id,
            f"{self._change.database} {event['id']}",
            at_us,
            given,
            self._change.signal,
            payload,
        )

    async def _passes(self, event: dict[str, Any]) -> bool:
        try:
            return await self._filter.holds(event)
        except RenderError as error:
            raise Misfit.of_filter(error) from error


@dataclass(slots=True)
class Batch:
    """Firings that are stored together, up to a position."""

    position: Position
    firings: list[Firing] = field(default_factory=list)
    refused: int = 0
    error: str = ""
    size: int = 0

    async def add(self, compiled: CompiledChanges, change: Change, at_us: int) -> None:
        """Add a change as a firing or a refusal, or leave it out."""
        self.position = change.position
        try:
            firing = await compiled.firing(change, at_us)
        except ChangeRefused as error:
            self.refused += 1
            self.error = f"INPUT_INVALID: {error}"
            return
        except Misfit as misfit:
            self.error = str(misfit)
            return
        if firing is not None:
            self.firings.append(firing)
            self.size += len(firing.input) + len(firing.payload)

    @property
    def full(self) -> bool:
        return len(self.firings) + self.refused >= BATCH_FIRINGS or self.size >= BATCH_BYTES

    @property
    def empty(self) -> bool:
        return not self.firings and not self.error

    def refusals(self, trigger: ChangeTrigger, at_us: int) -> Refusals | None:
        if not self.error:
            return None
        return Refusals(trigger, self.refused, at_us, self.error)
