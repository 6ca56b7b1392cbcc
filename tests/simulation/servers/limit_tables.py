"""The effects of the statements on limits and stops on their tables."""

from typing import Any

from tests.simulation.servers.commit_sql import Row, Rows


class LimitTables(Rows):
    """Every method is one statement; each change moves the version that owners look at."""

    def limits_version(self) -> int:
        return self.limits_moved

    def limits_set(self) -> list[Row]:
        return [self.limits[key] for key in sorted(self.limits)]

    def dispatch_stops(self) -> list[Row]:
        return [self.stops[key] for key in sorted(self.stops)]

    def set_limit(self, *, what: str, **limit: Any) -> None:
        key = (limit["namespace"], limit["kind"], limit["subject"])
        self.limits[key] = {**limit, "updated_at": self.now_us()}
        self.limits_moved += 1

    def delete_limit(
        self, *, namespace: str, kind: int, subject: str, actor: str, reason: str, what: str
    ) -> int:
        return self._moved(self.limits.pop((namespace, kind, subject), None) is not None)

    def stop_dispatch(
        self,
        *,
        namespace: str,
        workflow_id: str,
        refuses_starts: bool,
        actor: str,
        reason: str,
        what: str,
    ) -> int:
        if (namespace, workflow_id) in self.stops:
            return 0
        self.stops[namespace, workflow_id] = {
            "namespace": namespace,
            "workflow_id": workflow_id,
            "refuses_starts": refuses_starts,
            "actor": actor,
            "reason": reason,
            "stopped_at": self.now_us(),
        }
        return self._moved(True)

    def start_dispatch(
        self, *, namespace: str, workflow_id: str, actor: str, reason: str, what: str
    ) -> int:
        return self._moved(self.stops.pop((namespace, workflow_id), None) is not None)

    def _moved(self, changed: bool) -> int:
        """Count a change and return the number of changed rows."""
        self.limits_moved += changed
        return int(changed)
