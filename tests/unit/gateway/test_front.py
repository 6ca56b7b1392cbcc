"""The decision of a front on calls of steps."""

import pytest

from flowmesh.cells import Cell, Directory, Home, Pin
from flowmesh.errors import Forbidden
from flowmesh.gateway.cells.front import Front


def front() -> Front:
    """Return a front of the cell us0."""
    made = Directory(own=0)
    cells = [
        Cell(
            number=number,
            name=name,
            region=name[:2],
            http=f"https://{name}.example.com",
            grpc=f"{name}.example.com:7450",
        )
        for number, name in enumerate(("us0", "us1", "eu2"))
    ]
    for each in cells:
        made.add(each)
    for project, home in (("near", Home(1)), ("far", Home(2)), ("strict", Home(0, strict=True))):
        made.add(Pin(project, home))
    made.loaded = True
    return Front(made, cells[0])


def test_steps_of_a_strict_project_call_their_region_only() -> None:
    """Others, and clients without the header, call each region."""
    made = front()
    near = made.elsewhere(["near"], source="strict")
    assert near is not None
    assert near.number == 1
    with pytest.raises(Forbidden) as refused:
        made.elsewhere(["far"], source="strict")
    assert refused.value.reason == "RESIDENCY_STRICT"
    text = "the data of project strict stays in region us; cell eu2 is in region eu"
    assert refused.value.message == text
    for source in ("", "near"):
        far = made.elsewhere(["far"], source=source)
        assert far is not None
        assert far.number == 2
