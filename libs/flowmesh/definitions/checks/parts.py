"""Schemas of a source, split into parts by the paths into their values."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowmesh.contract.json_value import SEALED, Json
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.schema_checks import check_schema
from flowmesh.schemas import NOTHING, Arrays, Comparison, Objects, Part, either, part_of
from flowmesh.schemas.encrypted import with_sealed_forms


@dataclass(frozen=True, slots=True)
class Found:
    """The part at a path; `optional` if something on the path may be missing."""

    part: Part
    optional: bool = False


class Parts:
    """Cache of schema parts. Unsound schemas have none; `schemas.py` reports them."""

    def __init__(self) -> None:
        self.comparison = Comparison()
        # Keyed by identity; the schema is kept, so its id is not reused.
        self._parts: dict[int, tuple[Json, Part | None]] = {}
        self._found: dict[tuple[int, tuple[str | int, ...]], tuple[Part, Found]] = {}

    def of(self, schema: Json) -> Part | None:
        """Return the part of a schema; None without a schema or if it constrains nothing."""
        if not isinstance(schema, dict) or not schema:
            return None
        known = self._parts.get(id(schema))
        if known is None:
            sound = check_schema(schema, (), Problems())
            part = part_of(with_sealed_forms(schema)) if sound else None
            known = self._parts[id(schema)] = (schema, part)
        return known[1]

    def objects(self, part: Part) -> list[Objects]:
        facts = [shape.facts for shape in self.comparison.expansion.shapes(part)]
        return [each for each in facts if isinstance(each, Objects)]

    def arrays(self, part: Part) -> list[Arrays]:
        facts = [shape.facts for shape in self.comparison.expansion.shapes(part)]
        return [each for each in facts if isinstance(each, Arrays)]

    def at(self, part: Part, path: tuple[str | int, ...]) -> Found:
        """Return the part at a path; an impossible part if no value has such a member or item."""
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
        """Return whether the part allows any value."""
        return bool(self.comparison.expansion.shapes(part))

    def items(self, part: Part) -> Part:
        """Return the part of any item of an array."""
        arrays = self.arrays(part)
        return either([each.item(i) for each in arrays for i in range(each.told + 1)])

    def leaves_out(self, part: Part, key: str) -> bool:
        """Return whether the schema lists members, omits this one, and does not allow more."""
        objects = self.objects(part)
        return bool(objects) and all(each.leaves_out(key) for each in objects)

    def sealed(self, part: Part) -> bool:
        """Return whether values are sealed end to end."""
        return self.listed(part) == [SEALED]

    def listed(self, part: Part) -> list[str]:
        """Return the members that the schema names."""
        return list(dict.fromkeys(name for each in self.objects(part) for name in each.told))
