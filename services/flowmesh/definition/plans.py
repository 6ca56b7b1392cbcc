"""Plans that were made, by what they are made of, so that a change makes another key."""

from collections import OrderedDict

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definition.limits import PLANS_CACHED_BYTES_MAX, PLANS_CACHED_MAX
from flowmesh.definition.records import PlanKey


class PlanCache:
    """The plans used last, bounded by their size."""

    def __init__(self) -> None:
        self._plans: OrderedDict[PlanKey, tuple[plan_pb2.Plan, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: PlanKey) -> plan_pb2.Plan | None:
        found = self._plans.get(key)
        if found is None:
            return None
        self._plans.move_to_end(key)
        return found[0]

    def put(self, key: PlanKey, plan: plan_pb2.Plan) -> None:
        size = plan.ByteSize()
        if key in self._plans or size > PLANS_CACHED_BYTES_MAX:
            return
        self._plans[key] = (plan, size)
        self._bytes += size
        while self._bytes > PLANS_CACHED_BYTES_MAX or len(self._plans) > PLANS_CACHED_MAX:
            _, (_, freed) = self._plans.popitem(last=False)
            self._bytes -= freed
