"""References to data of a running workflow, usable wherever a definition has a value."""

from collections.abc import Iterator, Mapping

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import child_path, path_text


def output_of(node: str) -> "Ref":
    """Return a reference to the output of a node."""
    return Ref(path_text("tasks", (node, "output")), node)


class Ref:
    """A reference to data of a running workflow, such as `cart.output["total"]`."""

    __slots__ = ("_path", "item_of", "node")

    def __init__(self, path: str, node: str = "", item_of: str = "") -> None:
        self._path = path
        # The node whose output is referenced; empty for the input of the workflow.
        self.node = node
        # The map whose item or index is referenced.
        self.item_of = item_of

    def __getitem__(self, key: str | int) -> "Ref":
        return Ref(child_path(self._path, key), self.node, self.item_of)

    def __str__(self) -> str:
        return "{{" + self._path + "}}"

    def __repr__(self) -> str:
        return f"Ref({self._path!r})"


def plain(value: Json) -> Json:
    """Replace references by templates, at any depth."""
    match value:
        case Ref():
            return str(value)
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def refs_in(value: Json) -> Iterator[Ref]:
    """Iterate over the references in a value, at any depth."""
    match value:
        case Ref():
            yield value
        case Mapping():
            for item in value.values():
                yield from refs_in(item)
        case list() | tuple():
            for item in value:
                yield from refs_in(item)
