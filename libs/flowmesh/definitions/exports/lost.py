"""What a format has no place for, collected so that one refusal tells all of it."""

from flowmesh.definitions.limits import PROBLEMS_MAX
from flowmesh.errors import Invalid, Violation

_REASON = "FEATURE_UNSUPPORTED"


class Lost:
    """Features of a workflow without a place in the format `into`."""

    def __init__(self, into: str) -> None:
        self._into = into
        self._found: list[Violation] = []

    def note(self, feature: str, node: str = "") -> None:
        text = f"{self._into} has no place for {feature}"
        if len(self._found) < PROBLEMS_MAX:
            self._found.append(Violation(node, text, _REASON))

    @property
    def nothing(self) -> bool:
        return not self._found

    def refuse(self) -> None:
        """Raises Invalid FEATURE_UNSUPPORTED if anything would be lost."""
        if self._found:
            first, more = self._found[0], len(self._found) - 1
            where = f"{first.field}: " if first.field else ""
            text = where + first.description + (f" (and {more} more)" if more else "")
            raise Invalid(_REASON, text, violations=tuple(self._found))
