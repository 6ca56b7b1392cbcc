"""The next step for an object of the cluster. Pure."""

from enum import Enum

from flowmesh.operator.kinds import DELETION_POLICY, FINALIZER, Object
from flowmesh.operator.objects import condition


class Step(Enum):
    """The next step for an object."""

    NOTHING = "nothing"
    # Before anything is registered: a kill in between must not leave an orphan.
    ADD_FINALIZER = "add finalizer"
    REGISTER = "register"
    UNREGISTER = "unregister"
    REMOVE_FINALIZER = "remove finalizer"


def next_step(found: Object | None, *, resync: bool) -> Step:
    """Return the next step; `resync` compares with the suite although nothing has changed."""
    if found is None:
        return Step.NOTHING
    metadata = found["metadata"]
    finalized = FINALIZER in (metadata.get("finalizers") or [])
    if metadata.get("deletionTimestamp"):
        if not finalized:
            return Step.NOTHING
        annotations = metadata.get("annotations") or {}
        retained = annotations.get(DELETION_POLICY) == "retain"
        return Step.REMOVE_FINALIZER if retained else Step.UNREGISTER
    if not finalized:
        return Step.ADD_FINALIZER
    ready = condition(found, "Ready")
    observed = (found.get("status") or {}).get("observedGeneration")
    if resync or observed != metadata.get("generation") or not ready:
        return Step.REGISTER
    # What the suite could not answer is asked again; what it refused waits for a change.
    return Step.REGISTER if ready.get("reason") == "Unavailable" else Step.NOTHING
