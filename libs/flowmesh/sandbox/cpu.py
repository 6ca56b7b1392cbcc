"""CPU time of executions and namespaces in the sandbox: counted after each call, checked before."""

from collections import OrderedDict
from collections.abc import Callable

from flowmesh.errors import Overloaded
from flowmesh.sandbox.errors import out_of_cpu
from flowmesh.sandbox.turns import Account

EXECUTIONS_MAX = 100_000
NAMESPACES_MAX = 10_000
MINUTE_MS = 60_000


class CpuLedger:
    """Bounds of CPU time: of one execution in all, and of one namespace per minute; 0 is none.

    A namespace has a bucket that fills in a minute; a call may overdraw it once. Counts are those
    of this process; the oldest are dropped.
    """

    def __init__(
        self, *, execution_ms_max: int, namespace_ms_max: int, monotonic_ms: Callable[[], float]
    ) -> None:
        self._execution_ms_max = execution_ms_max
        self._namespace_ms_max = namespace_ms_max
        self._monotonic_ms = monotonic_ms
        self._executions: OrderedDict[str, int] = OrderedDict()
        # By namespace, the CPU time left and when it was so.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, account: Account) -> None:
        """Raise SandboxFailure for an execution, Overloaded for a namespace, without CPU time."""
        used_ms = self._executions.get(account.execution_id, 0)
        if self._execution_ms_max and used_ms >= self._execution_ms_max:
            limit = self._execution_ms_max // 1000
            message = f"the code of the execution has used its {limit} s of CPU time"
            raise out_of_cpu(message)
        left_ms = self._left_ms(account.namespace)
        if self._namespace_ms_max and left_ms <= 0:
            limit = self._namespace_ms_max // 1000
            message = f"the code of the namespace has used its {limit} s of CPU time per minute"
            wait_ms = int((1 - left_ms) * MINUTE_MS / self._namespace_ms_max) + 1
            raise Overloaded("CPU_LIMIT", message, retry_after_ms=wait_ms)

    def spend(self, account: Account, cpu_ms: int) -> None:
        if self._execution_ms_max and account.execution_id:
            self._executions[account.execution_id] = (
                self._executions.get(account.execution_id, 0) + cpu_ms
            )
            self._executions.move_to_end(account.execution_id)
            if len(self._executions) > EXECUTIONS_MAX:
                self._executions.popitem(last=False)
        if self._namespace_ms_max:
            left_ms = self._left_ms(account.namespace) - cpu_ms
            self._buckets[account.namespace] = (left_ms, self._monotonic_ms())
            self._buckets.move_to_end(account.namespace)
            if len(self._buckets) > NAMESPACES_MAX:
                self._buckets.popitem(last=False)

    def _left_ms(self, namespace: str) -> float:
        most = self._namespace_ms_max
        left_ms, at_ms = self._buckets.get(namespace, (most, 0.0))
        return min(most, left_ms + (self._monotonic_ms() - at_ms) * most / MINUTE_MS)
