"""The cells that a gateway lists, for roles in the whole installation."""

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from flowmesh.access.principal import Principal, acting_as
from flowmesh.access.roles import READ
from flowmesh.cells import DRAINING, SWITCHING, Cell, Directory, Home, Move, Pin
from flowmesh.errors import Forbidden
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.requests import Request
from flowmesh.gateway.routes.cells import list_cells


def directory() -> Directory:
    """Return two cells with projects, one of which moves."""
    made = Directory(own=0)
    for number, name, state in ((0, "us0", "open"), (2, "eu2", DRAINING)):
        place = f"{name}.example.com"
        made.add(
            Cell(
                number=number,
                name=name,
                region=name[:2],
                http=f"https://{place}",
                grpc=f"{place}:7450",
                state=state,
            )
        )
    made.add(Pin("bank", Home(2, strict=True)))
    made.add(Pin("post", Home(2)))
    made.add(Pin("shop", Home(0), Move(source=0, target=2, step=SWITCHING)))
    return made


async def listed(known: Directory | None) -> Any:
    """Return the answer of a gateway that knows a directory."""
    backends = cast("Backends", SimpleNamespace(directory=known))
    return orjson.loads((await list_cells(backends, cast("Request", None))).body)


async def test_cells_are_listed_with_their_projects_and_moves() -> None:
    """In the order of their numbers; the cell of the gateway is marked."""
    found = await listed(directory())
    assert [(each["name"], each["projects"], each["own"]) for each in found["cells"]] == [
        ("us0", 1, True),
        ("eu2", 2, False),
    ]
    assert found["cells"][1] == {
        "name": "eu2",
        "number": 2,
        "region": "eu",
        "state": "draining",
        "projects": 2,
        "http": "https://eu2.example.com",
        "grpc": "eu2.example.com:7450",
        "own": False,
    }
    assert found["moves"] == [{"project": "shop", "from": "us0", "to": "eu2", "step": "switching"}]


async def test_an_installation_without_cells_lists_none() -> None:
    """As most of them."""
    assert await listed(None) == {"cells": [], "moves": []}


async def test_a_role_in_one_project_does_not_show_the_cells() -> None:
    """Moves name the projects of others."""
    some = Principal("u", "user", "ann", namespaces={"shop": READ})
    with acting_as(some), pytest.raises(Forbidden) as refused:
        await listed(directory())
    assert refused.value.reason == "ROLE_REQUIRED"
    with acting_as(Principal("o", "user", "ops", everywhere=READ)):
        assert len((await listed(directory()))["cells"]) == 2
