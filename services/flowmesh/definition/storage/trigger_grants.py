"""The principals whose permissions triggers run with."""

from typing import Any

from flowmesh.api.definition.v1 import trigger_pb2


class TriggerGrants:
    """Changes the grants of triggers within a transaction that has locked their workflows."""

    def __init__(self, sql: Any, connection: Any, namespace: str) -> None:
        self._sql = sql
        self._connection = connection
        self._namespace = namespace

    async def take_over(self, workflow: str, applied_by: str) -> bool:
        """Let the triggers of a workflow run for this principal; return whether it is another."""
        found = self._sql.triggers_of(self._connection, namespace=self._namespace, ids=[workflow])
        bodies = [row["body"] async for row in found]
        if not bodies or not bodies[0]:
            return False
        triggers = trigger_pb2.WorkflowTriggers.FromString(bodies[0])
        if triggers.applied_by == applied_by:
            return False
        triggers.applied_by = applied_by
        triggers.grants += 1
        await self._sql.set_triggers(
            self._connection,
            namespace=self._namespace,
            workflow=workflow,
            body=triggers.SerializeToString(),
        )
        return True
