"""The nodes of an execution as a tree; the parent is the dependency that ended last."""

from collections.abc import Callable, Iterable, Mapping, Sequence


def parents(
    dependencies: Mapping[str, Sequence[str]], ended: Mapping[str, float]
) -> dict[str, str]:
    """Return the parent of each node: the last dependency to end or a running one; "" for roots."""
    found = {}
    for node, before in dependencies.items():
        known = [name for name in before if name in dependencies]
        found[node] = max(known, key=lambda name: ended.get(name, float("inf")), default="")
    return found


def draw(
    parent_of: Mapping[str, str], lines: Callable[[str], Sequence[str]], below: str = ""
) -> Iterable[str]:
    """Yield the lines of all nodes below `below`, each with the branches of the tree."""
    children = [node for node, parent in parent_of.items() if parent == below]
    for child in children:
        last = child == children[-1]
        first, *more = lines(child)
        yield ("└─ " if last else "├─ ") + first
        indent = "   " if last else "│  "
        below_child = list(draw(parent_of, lines, child))
        bar = "│  " if below_child else "   "
        for line in more:
            yield indent + bar + line
        for line in below_child:
            yield indent + line


def preorder(parent_of: Mapping[str, str], below: str = "") -> list[str]:
    """Return the nodes in the order of `draw`."""
    found = []
    for node, parent in parent_of.items():
        if parent == below:
            found += [node, *preorder(parent_of, node)]
    return found
