"""Names of nodes: with items (`each[2]/pay`), and as planned (`each/pay`)."""

from flowmesh.definitions.scopes import GATE_SUFFIX


def plain(name: str) -> str:
    """Return the name without the numbers of items and rounds."""
    return "/".join(part.partition("[")[0] for part in name.split("/"))


def is_made(name: str) -> bool:
    """Return whether the planner generated the node: a condition, or a part of a loop or try."""
    *around, last = plain(name).split("/")
    return last.endswith(GATE_SUFFIX) or bool(around and last.startswith(f"{around[-1]}:"))
