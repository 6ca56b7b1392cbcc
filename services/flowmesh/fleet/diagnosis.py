"""Causes of fewer agents than the tasks of a spec need."""

from collections.abc import Sequence

from flowmesh.api.execution.v1 import limits_service_pb2
from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.fleet.running.figures import Figures, serves
from flowmesh.fleet.storage.records import SpecRow
from flowmesh.fleet.storage.store import FleetStore

Queues = Sequence[limits_service_pb2.QueueStats]


class Diagnosis:
    """Compares specs, policies, decisions and queues."""

    def __init__(self, store: FleetStore, figures: Figures) -> None:
        self._store, self._figures = store, figures

    async def findings(self, namespace: str, spec: str) -> list[pb.AgentFinding]:
        """Return one cause for each spec that has one."""
        if await self._store.leaderless():
            text = "no instance of the fleet leads; the service `fleet` does not run"
            return [pb.AgentFinding(spec=spec, cause="NO_LEADER", evidence=text)]
        try:
            queues: Queues = await self._figures.queues(namespace)
        except FlowmeshError:
            queues = ()
        policies = {
            each.content.spec: each.content for each in await self._store.policies(namespace)
        }
        found = []
        for each in await self._store.specs(namespace):
            if spec in ("", each.spec):
                cause = await self._cause(each, policies.get(each.spec), queues)
                if cause is not None:
                    found.append(pb.AgentFinding(spec=each.spec, cause=cause[0], evidence=cause[1]))
        if spec == "":
            specs = await self._store.specs(namespace)
            found += [
                pb.AgentFinding(
                    cause="NO_SPEC",
                    evidence=f"{each.ready} tasks {each.task_type} wait in queue {each.queue},"
                    " which no spec and no worker takes",
                )
                for each in queues
                if each.ready and not each.worker_sets
                if not any(serves(one.content, each) for one in specs)
            ]
        return found

    async def _cause(
        self, spec: SpecRow, policy: pb.ScalingPolicy | None, queues: Queues
    ) -> tuple[str, str] | None:
        if spec.problem:
            cause = spec.problem.partition(":")[0]
            known = cause.isupper() and " " not in cause
            return (cause if known else "AGENTS_FAIL"), spec.problem
        decisions = await self._store.decisions(spec.namespace, spec.spec)
        last = decisions[0] if decisions else pb.ScalingDecision()
        held = [each for each in last.held if each not in ("MIN", "TOLERANCE")]
        mine = [each for each in queues if serves(spec.content, each)]
        limited = sum(each.waiting_for_limits + each.stopped for each in mine)
        waiting = sum(each.ready for each in mine)
        ready = f"{spec.ready} of {spec.wanted} agents are ready, {waiting} tasks wait"
        if waiting and limited >= waiting:
            return "WAITS_FOR_LIMITS", f"{limited} tasks wait for limits or stops, not for agents"
        if spec.wanted < spec.replicas and policy is None:
            return "QUOTA", f"the quota of the namespace leaves {spec.wanted} agents"
        if policy is not None and last.wish > spec.wanted and held:
            text = f"{last.wish} agents are wished, {spec.wanted} wanted: {', '.join(held)}"
            return held[-1].split()[0], text
        if not waiting:
            return None
        if policy is None:
            return "NO_POLICY", f"{ready}, and no policy scales {spec.spec}"
        if policy.strategy == pb.SCALING_STRATEGY_FIXED:
            return "FIXED", f"{ready}, and the policy {policy.policy} is FIXED"
        return None
