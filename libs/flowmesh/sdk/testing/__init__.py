"""Tests of workflows and handlers without a server, with the real engine and a virtual clock.

env = LocalEnvironment(worker)
run = await env.run("charge-order", order, signals=[Signal("approved", {}, after="2h")])
assert run.status == "completed"
await env.replay(run.history)
await env.simulate("charge-order", order, runs=50, seed=7)
"""

from flowmesh.extras import needed_by

with needed_by("flowmesh.sdk.testing", "offline"):
    from flowmesh.sdk.testing.environment import LocalEnvironment, LocalExecution, Signal
    from flowmesh.sdk.testing.replaying import ReplayMismatch
    from flowmesh.sdk.testing.simulation import Faults, SimulationFailed
    from flowmesh.sdk.values.histories import History

__all__ = [
    "Faults",
    "History",
    "LocalEnvironment",
    "LocalExecution",
    "ReplayMismatch",
    "Signal",
    "SimulationFailed",
]
