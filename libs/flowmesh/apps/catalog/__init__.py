"""The catalog of module types: descriptors, the one source of all schemas of applications."""

from flowmesh.apps.catalog.descriptor import Descriptor, Field, Need, Rule
from flowmesh.apps.catalog.table import (
    DESCRIPTORS,
    STEPS,
    descriptor_of,
    foreign_hint,
    key_form,
    nearest_names,
)

__all__ = [
    "DESCRIPTORS",
    "STEPS",
    "Descriptor",
    "Field",
    "Need",
    "Rule",
    "descriptor_of",
    "foreign_hint",
    "key_form",
    "nearest_names",
]
