"""What comes of comparing what one schema allows with what another one takes."""

from dataclasses import dataclass
from enum import Enum

from flowmesh.schemas.documents import Path


class Outcome(Enum):
    """COMPATIBLE: every value of the one fits the other. INCOMPATIBLE: see `Kind`.

    UNKNOWN: neither can be shown.
    """

    COMPATIBLE = "compatible"
    INCOMPATIBLE = "incompatible"
    UNKNOWN = "unknown"


class Kind(Enum):
    """What was found at a path. The first four are conflicts, the others doubts."""

    TYPE = "type"
    """Nothing that may be there fits: other types, disjoint values, ranges or lengths."""
    EXTRA = "extra"
    """A member or an item that the other one does not take."""
    MISSING = "missing"
    """A required member that is never there."""
    UNLISTED = "unlisted"
    """A required member that is not among those listed, where nothing says there may be more."""
    OPTIONAL = "optional"
    """A required member that may be missing."""
    RANGE = "range"
    """Some of what may be there fits, and some may not."""
    UNFOLLOWED = "unfollowed"
    """The other schema says something that is not followed."""
    UNDECLARED = "undeclared"
    """Nothing is said of what may be there."""


CONFLICTS = frozenset({Kind.TYPE, Kind.EXTRA, Kind.MISSING, Kind.UNLISTED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `path` leads to it in every value, from the root of both schemas.

    `given` and `needed` say what both schemas have there, `text` what is the matter, `field` which
    member of what is there is or may be missing.
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
    """The outcome, with all conflicts and doubts that led to it."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
