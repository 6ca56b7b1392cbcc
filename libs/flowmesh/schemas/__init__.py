"""JSON Schemas as such: what is in one, and whether what one allows fits another. Pure, no I/O."""

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

__all__ = [
    "DRAFT_NAMES",
    "REFERENCES",
    "Document",
    "Draft",
    "Place",
    "children",
    "draft_named",
    "places",
]
