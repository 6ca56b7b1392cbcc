"""Features of a workflow that a target format cannot express, collected for one refusal."""

from flowmesh.definitions.limits import PROBLEMS_MAX
from flowmesh.errors import Invalid, Violation

_REASON = "FEATURE_UNSUPPORTED"


class UnsupportedExpression(Exception):
    """A part of a workflow that the target format cannot express; the text names the feature."""


class UnsupportedFeatures:
    """Collected features of a workflow that the format `target` cannot express."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._found: list[Violation] = []

    def add(self, feature: str, node: str = "") -> None:
        text = f"{self._target} has no place for {feature}"
        if len(self._found) < PROBLEMS_MAX:
            self._found.append(Violation(node, text, _REASON))

    @property
    def empty(self) -> bool:
        return not self._found

    def raise_if_any(self) -> None:
        """Raise Invalid FEATURE_UNSUPPORTED if a feature was added."""
        if self._found:
            first, more = self._found[0], len(self._found) - 1
            where = f"{first.field}: " if first.field else ""
            text = where + first.description + (f" (and {more} more)" if more else "")
            raise Invalid(_REASON, text, violations=tuple(self._found))
