"""Orders of lists and groups of counts."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowmesh.filters.fields import FAMILIES, Field, field_of, suggestion
from flowmesh.filters.terms import refuse

GROUPS_MAX = 3
_ORDERS = ("started", "ended")
_GROUPS = ("status", "workflow", "version", "day", "hour", "error.class", "needs")


@dataclass(frozen=True, slots=True)
class Order:
    """An order by one field; `id` breaks ties in the same direction."""

    field: Field
    descending: bool = True


def parse_order(text: str) -> Order:
    """Parse an order; an empty text means newest first. Raises FILTER_INVALID."""
    words = text.split()
    name = words[0] if words else "started"
    if len(words) > 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
        refuse("a field, then asc or desc", 0, "order_by")
    return Order(_known(name, _ORDERS, "order_by"), words[-1:] != ["asc"])


def parse_groups(names: Sequence[str]) -> tuple[str, ...]:
    """Check the names for grouping. Raises FILTER_INVALID."""
    if len(names) > GROUPS_MAX:
        refuse(f"at most {GROUPS_MAX} names, not {len(names)}", 0, "group_by")
    if len(set(names)) < len(names):
        refuse("a name occurs twice", 0, "group_by")
    for name in names:
        if name not in ("day", "hour"):
            _known(name, _GROUPS, "group_by")
    return tuple(names)


def _known(name: str, fixed: Sequence[str], what: str) -> Field:
    field = field_of(name)
    if field is None or (name not in fixed and name.partition(".")[0] not in FAMILIES):
        families = [f"{family}.<name>" for family in FAMILIES]
        near = suggestion(name, [*fixed, *FAMILIES])
        refuse(f"{name[:64]!r} is none of {', '.join([*fixed, *families])}{near}", 0, what)
    return field
