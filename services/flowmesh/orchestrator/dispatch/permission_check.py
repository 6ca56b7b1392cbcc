"""Keeps what a policy has said of the tasks of an execution, so that it is asked once of a kind."""

from flowmesh.engine import NodeState, State, TaskEnded
from flowmesh.orchestrator.model.failures import failure
from flowmesh.policies import DeclaredPermissions, PermissionRequest, Policy

PERMISSION_DENIED = "PERMISSION_DENIED"

EXECUTIONS_REMEMBERED = 10_000


class PermissionCheck:
    """Without a policy of its own only tasks that declare permissions are looked at."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy or DeclaredPermissions()
        self.checks_every_task = policy is not None
        self._said: dict[str, dict[tuple[str, tuple[str, ...]], str]] = {}

    def refusal(self, state: State, node: NodeState) -> TaskEnded | None:
        """How a task ends that may not run; None where it may."""
        denied = self._denied(state, node)
        if not denied:
            return None
        told = failure(PERMISSION_DENIED, denied)
        return TaskEnded(node.id, node.attempt, failure=told, begun=False)

    def _denied(self, state: State, node: NodeState) -> str:
        said = self._said.get(state.execution_id)
        if said is None:
            if len(self._said) >= EXECUTIONS_REMEMBERED:
                self._said.clear()
            said = self._said[state.execution_id] = {}
        spec, needed = node.planned.spec, node.planned.permissions
        assert spec is not None
        kind = (spec.task_type, needed)
        denied = said.get(kind)
        if denied is None:
            denied = said[kind] = self._asked(state, spec.task_type, needed)
        return denied

    def _asked(self, state: State, task_type: str, needed: tuple[str, ...]) -> str:
        plan = state.plan
        asked = PermissionRequest(
            namespace=plan.namespace,
            workflow_id=plan.workflow_id,
            execution_id=state.execution_id,
            task_type=task_type,
            needed=needed,
            actor=state.actor,
            permissions=state.permissions,
        )
        try:
            return self._policy.denies(asked)
        except Exception as error:  # noqa: BLE001 what cannot be decided does not run
            return f"the policy failed: {type(error).__name__}: {error}"[:1_000]
