"""Kinds of a cluster, which a process may know once."""

from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.extras.kubernetes import global_kind, namespaced_kind


@pytest.mark.parametrize("kind_of", [namespaced_kind, global_kind])
@pytest.mark.parametrize("group", ["shop.example", "other.example"])
def test_a_kind_has_one_class(kind_of: Callable[..., Any], group: str) -> None:
    """Each part of a process gets the same one; that of another group differs."""
    name = f"Made{kind_of.__name__.title().replace('_', '')}"
    first = kind_of(group, "v1", name, f"{name.lower()}s")
    assert kind_of(group, "v1", name, f"{name.lower()}s") is first
    assert kind_of(group, "v2", name, f"{name.lower()}s") is not first
