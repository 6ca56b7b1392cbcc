"""Permission check of tasks: the decisions of a policy, cached by execution and kind of task."""

from flowmesh.engine import NodeState, State, TaskEnded
from flowmesh.orchestrator.model.failures import failure
from flowmesh.policies import DeclaredPermissions, PermissionRequest, Policy

PERMISSION_DENIED = "PERMISSION_DENIED"

EXECUTIONS_REMEMBERED = 10_000


class PermissionCheck:
    """Checks tasks against a policy. The default checks only tasks that declare permissions."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy or DeclaredPermissions()
        self.checks_every_task = policy is not None
        self._denials: dict[str, dict[tuple[str, tuple[str, ...]], str]] = {}

    def refusal(self, state: State, node: NodeState) -> TaskEnded | None:
        """Return the end of a task that is not permitted; None if it is permitted."""
        denied = self._denied(state, node)
        if not denied:
            return None
        return TaskEnded(
            node.id, node.attempt, failure=failure(PERMISSION_DENIED, denied), begun=False
        )

    def _denied(self, state: State, node: NodeState) -> str:
        known = self._denials.get(state.execution_id)
        if known is None:
            if len(self._denials) >= EXECUTIONS_REMEMBERED:
                self._denials.clear()
            known = self._denials[state.execution_id] = {}
        spec, needed = node.planned.spec, node.planned.permissions
        assert spec is not None
        kind = (spec.task_type, needed)
        denied = known.get(kind)
        if denied is None:
            denied = known[kind] = self._ask_policy(state, spec.task_type, needed)
        return denied

    def _ask_policy(self, state: State, task_type: str, needed: tuple[str, ...]) -> str:
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
        except Exception as error:  # noqa: BLE001 an undecided task is denied
            return f"the policy failed: {type(error).__name__}: {error}"[:1_000]
