"""Paths to routes."""

import pytest

from flowmesh.gateway.http.router import Router
from flowmesh.gateway.routes import ROUTES

ROUTER = Router(
    [
        ("GET", "/things", "list"),
        ("POST", "/things:check", "check"),
        ("POST", "/things/start", "start"),
        ("GET", "/things/{id}", "get"),
        ("POST", "/things/{id}:stop", "stop"),
        ("GET", "/things/{id}/parts/{part}", "part"),
    ]
)


@pytest.mark.parametrize(
    ("path", "template", "params"),
    [
        ("/things", "/things", {}),
        ("/things:check", "/things:check", {}),
        ("/things/start", "/things/start", {}),
        ("/things/a", "/things/{id}", {"id": "a"}),
        ("/things/a:b", "/things/{id}", {"id": "a:b"}),
        ("/things/a:b:stop", "/things/{id}:stop", {"id": "a:b"}),
        ("/things/a%2Fb", "/things/{id}", {"id": "a/b"}),
        ("/things/a:stop/parts/b", "/things/{id}/parts/{part}", {"id": "a:stop", "part": "b"}),
    ],
)
def test_a_path_finds_its_route(path: str, template: str, params: dict[str, str]) -> None:
    """Literals win over parameters, a verb that exists over an id with a colon."""
    match = ROUTER.match(path)
    assert match is not None
    assert (match.template, match.params) == (template, params)


@pytest.mark.parametrize(
    "path", ["", "/", "/things/", "/things/a/", "//things", "/things/a/b", "x"]
)
def test_other_paths_find_nothing(path: str) -> None:
    """Nothing is guessed: no slash too many, no prefix, no empty parameter."""
    assert ROUTER.match(path) is None


def test_a_route_that_is_there_twice_is_refused() -> None:
    """Two handlers for one method and path are a mistake of ours, found at start."""
    with pytest.raises(ValueError, match="twice"):
        Router([("GET", "/a", 1), ("GET", "/a", 2)])


def test_every_route_of_the_gateway_is_reachable() -> None:
    """No template hides another one."""
    router = Router((route.method, route.path, route) for route in ROUTES)
    for route in ROUTES:
        match = router.match(route.path.replace("{", "").replace("}", ""))
        assert match is not None
        assert match.methods[route.method] is route
