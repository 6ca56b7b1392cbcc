"""Results of the comparison of two schemas."""

from dataclasses import dataclass
from enum import Enum

from flowmesh.schemas.documents import Path


class Outcome(Enum):
    """COMPATIBLE: every value fits. INCOMPATIBLE: see `Kind`. UNKNOWN: not provable."""

    COMPATIBLE = "compatible"
    INCOMPATIBLE = "incompatible"
    UNKNOWN = "unknown"


class Kind(Enum):
    """The kind of a finding. The first four are conflicts, the others doubts."""

    TYPE = "type"
    """No possible value fits: other types, disjoint values, ranges or lengths."""
    EXTRA = "extra"
    """A member or an item that the downstream forbids."""
    MISSING = "missing"
    """A required member that never exists."""
    UNLISTED = "unlisted"
    """A required member that is not listed, with no mention of further members."""
    OPTIONAL = "optional"
    """A required member that can be missing."""
    RANGE = "range"
    """Some possible values fit, others may not."""
    UNFOLLOWED = "unfollowed"
    """The downstream has an unsupported keyword."""
    UNDECLARED = "undeclared"
    """The upstream has no constraint."""


CONFLICTS = frozenset({Kind.TYPE, Kind.EXTRA, Kind.MISSING, Kind.UNLISTED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `path` leads to its place in values, from the root of both schemas.

    `given` and `needed` describe both schemas there, `text` the problem, and `field` names the
    missing or optional member.
    """

    kind: Kind
    path: Path
    given: str
    needed: str
    text: str
    field: str = ""

    @property
    def conflict(self) -> bool:
        return self.kind in CONFLICTS


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, with its conflicts and doubts."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
