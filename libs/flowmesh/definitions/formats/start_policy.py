"""The member `start`: the start policy of executions, the same in all native formats."""

from collections.abc import Iterator

from flowmesh.definitions import limits
from flowmesh.definitions.formats.native.times import read_duration
from flowmesh.definitions.model import StartConflict, StartPolicy
from flowmesh.definitions.reading.reader import Reader

CONFLICTS = tuple(conflict.name for conflict in StartConflict)
CODE = "START_POLICY_INVALID"


def read_start(reader: Reader) -> StartPolicy | None:
    """Return the member `start`; contradictions are noted at the member that causes them."""
    if reader.raw("start") is None:
        return None
    found = reader.object("start")
    policy = StartPolicy(
        key=found.text("key", most=limits.CODE_CHARACTERS_MAX),
        concurrency=found.integer("concurrency", 0, 1, limits.LIMIT_CONCURRENCY_MAX, CODE),
        on_conflict=StartConflict[found.choice("onConflict", CONFLICTS, CONFLICTS[0])],
        delay_ms=_time(found, "delay"),
        debounce_ms=_time(found, "debounce"),
        max_wait_ms=_time(found, "maxWait"),
        dedup_window_ms=_time(found, "dedupWindow"),
        path=found.path,
    )
    is_object = isinstance(reader.raw("start"), dict)
    for key, message in _contradictions(policy, found) if is_object else ():
        found.problems.add(CODE, message, (*found.path, key) if key else found.path)
    found.refuse_unknown()
    return policy


def _time(reader: Reader, key: str) -> int:
    return read_duration(reader, key, 0, 1, limits.DELAY_MS_MAX, CODE)


def _contradictions(policy: StartPolicy, found: Reader) -> Iterator[tuple[str, str]]:
    """Yield members that have no effect together, or contradict each other."""
    effective = ("concurrency", "delay", "debounce", "dedupWindow")
    if not any(found.has(key) for key in effective):
        yield "", f"start has no effect without one of {', '.join(effective)}"
    conflict = policy.on_conflict
    if found.has("onConflict") and not found.has("concurrency"):
        yield "onConflict", "onConflict has no effect without concurrency"
    if conflict is StartConflict.JOIN and policy.concurrency > 1:
        message = "JOIN returns the running execution, so concurrency must be 1"
        yield "onConflict", message
    if found.has("maxWait") and not found.has("debounce"):
        yield "maxWait", "maxWait needs debounce"
    elif policy.max_wait_ms and policy.max_wait_ms < policy.debounce_ms:
        yield "maxWait", "maxWait must not be shorter than debounce"
    if policy.debounce_ms and policy.delay_ms:
        yield "delay", "delay and debounce exclude each other"
    if policy.debounce_ms and policy.dedup_window_ms:
        message = "dedupWindow drops the starts whose input debounce would use; choose one"
        yield "dedupWindow", message
    if policy.debounce_ms and conflict in (StartConflict.REJECT, StartConflict.JOIN):
        message = f"{conflict.name} needs a waiting caller, and a debounced start has none"
        yield "onConflict", f"{message}; use QUEUE or REPLACE"
