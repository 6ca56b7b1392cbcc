"""Names of nodes: of one that ran (`each[2]/pay`), of the one it was made of (`each/pay`)."""

from flowmesh.definitions.scopes import GATE_SUFFIX


def plain(name: str) -> str:
    """The name without the numbers of items and rounds."""
    return "/".join(part.partition("[")[0] for part in name.split("/"))


def is_made(name: str) -> bool:
    """Whether no document names the node: a condition, or a part of a loop or a try."""
    *around, last = plain(name).split("/")
    return last.endswith(GATE_SUFFIX) or bool(around and last.startswith(f"{around[-1]}:"))
