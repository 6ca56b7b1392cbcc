"""Moving the clock of an application in a test: every instant on the way fires its jobs."""

from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.apps.runtime.application import Application
from flowmesh.apps.scheduling.clock import Clock
from flowmesh.apps.scheduling.scheduler import Scheduler
from flowmesh.apps.wiring.ports import SCHEDULER
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

INSTANTS_MAX = 10_000
_ADVANCE = duration("advance", "Time that passes.")


def seconds_of(raw: Json) -> float:
    """Return a time to advance by. Raises Invalid."""
    try:
        found = float(convert(_ADVANCE, raw))
    except ValueMismatch as error:
        raise Invalid("APP_INVALID", f"advance {error}") from None
    if found <= 0:
        raise Invalid("APP_INVALID", "advance is a time such as 90s or 24h, more than 0")
    return found


async def advance(application: Application, clock: Clock, seconds: float) -> None:
    """Let time pass: jobs run at each of their instants, one after the other, and end.

    State machines look at the clock every second, and end states that have lasted their time.
    """
    registry = application.built.registry
    schedulers: list[Scheduler] = list(dict.fromkeys(registry.all(SCHEDULER)))
    target_us = clock.now_us() + round(seconds * 1e6)
    for _ in range(INSTANTS_MAX):
        following = [each for one in schedulers for each in await one.look() if each is not None]
        due = [each for each in following if clock.now_us() < each <= target_us]
        if not due:
            break
        clock.move_to(min(due) / 1e6)
        for one in schedulers:
            await one.look()
            await one.idle()
    else:
        text = f"advance passes more than {INSTANTS_MAX} instants of jobs; move it in steps"
        raise Invalid("APP_INVALID", text)
    clock.move_to(target_us / 1e6)
