"""What the schemas of a source say of values and of the paths into them."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowmesh.definitions.checks.schemas import check_schema
from flowmesh.definitions.model import Json
from flowmesh.definitions.problems import Problems
from flowmesh.schemas import NOTHING, Arrays, Comparison, Objects, Part, either, part_of


@dataclass(frozen=True, slots=True)
class Found:
    """What a path leads to; `optional` where something on the way may be missing."""

    part: Part
    optional: bool = False


class Parts:
    """Takes schemas apart, each once; those that are unsound say nothing, others tell of them."""

    def __init__(self) -> None:
        self.comparison = Comparison()
        # By identity, which stays that of a schema or a part because it is kept.
        self._parts: dict[int, tuple[Json, Part | None]] = {}
        self._found: dict[tuple[int, tuple[str | int, ...]], tuple[Part, Found]] = {}

    def of(self, schema: Json) -> Part | None:
        """None where there is no schema, or one that says nothing."""
        if not isinstance(schema, dict) or not schema:
            return None
        known = self._parts.get(id(schema))
        if known is None:
            part = part_of(schema) if check_schema(schema, (), Problems()) else None
            known = self._parts[id(schema)] = (schema, part)
        return known[1]

    def objects(self, part: Part) -> list[Objects]:
        facts = [shape.facts for shape in self.comparison.expansion.shapes(part)]
        return [each for each in facts if isinstance(each, Objects)]

    def arrays(self, part: Part) -> list[Arrays]:
        facts = [shape.facts for shape in self.comparison.expansion.shapes(part)]
        return [each for each in facts if isinstance(each, Arrays)]

    def at(self, part: Part, path: tuple[str | int, ...]) -> Found:
        """Nothing is there, and says so, where no value can have such a member or item."""
        known = self._found.get((id(part), path))
        if known is None:
            known = self._found[id(part), path] = (part, self._at(part, path))
        return known[1]

    def _at(self, part: Part, path: Sequence[str | int]) -> Found:
        optional = False
        for key in path:
            if isinstance(key, str):
                objects = self.objects(part)
                optional = optional or any(key in o.told and key not in o.required for o in objects)
                below = [each.member(key) for each in objects]
            else:
                below = [each.item(key) for each in self.arrays(part)]
            part = either(below) if below else NOTHING
        return Found(part, optional)

    def possible(self, part: Part) -> bool:
        """Whether there may be a value."""
        return bool(self.comparison.expansion.shapes(part))

    def items(self, part: Part) -> Part:
        """Of any item of an array."""
        arrays = self.arrays(part)
        return either([each.item(i) for each in arrays for i in range(each.told + 1)])

    def leaves_out(self, part: Part, key: str) -> bool:
        """Whether members are listed, this is none of them, and nothing says there are more."""
        objects = self.objects(part)
        return bool(objects) and all(each.leaves_out(key) for each in objects)

    def listed(self, part: Part) -> list[str]:
        """The members that are spoken of by name."""
        return list(dict.fromkeys(name for each in self.objects(part) for name in each.told))
