"""The factory of the executor of `states.task`."""

from collections.abc import Callable

from flowmesh.executors.base import Executor, Sender
from flowmesh.executors.code.jsonata import jsonata_of
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.publish import Publisher
from flowmesh.executors.states.running import Tools
from flowmesh.executors.states.task import state_executor
from flowmesh.sandbox import Sandbox
from flowmesh.standards.intrinsics import Randomness


def states_executor(
    egress: Sender,
    sandbox: Sandbox,
    now_us: NowUs,
    new_id: Callable[[], str],
    draw: Callable[[], float],
    publisher: Publisher | None = None,
) -> Executor:
    """Return the executor; without a publisher, states that publish fail."""
    randomness = Randomness(new_id, draw)
    return state_executor(Tools(egress, now_us, randomness, jsonata_of(sandbox), publisher))
