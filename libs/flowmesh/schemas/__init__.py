"""JSON Schemas as such: what is in one, and whether what one allows fits another. Pure, no I/O."""

from flowmesh.schemas.comparison import OTHERS, Comparison, compatible, part_of
from flowmesh.schemas.documents import (
    DRAFT_NAMES,
    REFERENCES,
    Document,
    Draft,
    Place,
    children,
    draft_named,
    places,
)
from flowmesh.schemas.shapes import ANYTHING, NOTHING, Either, Given, Part
from flowmesh.schemas.verdicts import Finding, Kind, Outcome, Verdict

__all__ = [
    "ANYTHING",
    "DRAFT_NAMES",
    "NOTHING",
    "OTHERS",
    "REFERENCES",
    "Comparison",
    "Document",
    "Draft",
    "Either",
    "Finding",
    "Given",
    "Kind",
    "Outcome",
    "Part",
    "Place",
    "Verdict",
    "children",
    "compatible",
    "draft_named",
    "part_of",
    "places",
]
