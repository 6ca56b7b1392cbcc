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
from flowmesh.schemas.shapes import (
    ANYTHING,
    NOTHING,
    Arrays,
    Either,
    Given,
    Objects,
    Part,
    array_of,
    blank,
    constant,
    list_of,
    object_of,
)
from flowmesh.schemas.verdicts import Finding, Kind, Outcome, Verdict

__all__ = [
    "ANYTHING",
    "DRAFT_NAMES",
    "NOTHING",
    "OTHERS",
    "REFERENCES",
    "Arrays",
    "Comparison",
    "Document",
    "Draft",
    "Either",
    "Finding",
    "Given",
    "Kind",
    "Objects",
    "Outcome",
    "Part",
    "Place",
    "Verdict",
    "array_of",
    "blank",
    "children",
    "compatible",
    "constant",
    "draft_named",
    "list_of",
    "object_of",
    "part_of",
    "places",
]
