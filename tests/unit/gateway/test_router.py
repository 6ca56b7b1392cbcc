"""Matching of paths to routes."""

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
        ("GET", "/things/{id}/files", "files"),
        ("GET", "/things/{id}/files/{path}", "file"),
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
        ("/things/a/files", "/things/{id}/files", {"id": "a"}),
        ("/things/a/files/b", "/things/{id}/files/{path}", {"id": "a", "path": "b"}),
        ("/things/a/files/b//c%2F/", "/things/{id}/files/{path}", {"id": "a", "path": "b//c//"}),
        ("/things/a:stop/parts/b", "/things/{id}/parts/{part}", {"id": "a:stop", "part": "b"}),
    ],
)
def test_a_path_finds_its_route(path: str, template: str, params: dict[str, str]) -> None:
    """Literals take precedence over parameters, a known verb over an id with a colon."""
    match = ROUTER.match(path)
    assert match is not None
    assert (match.template, match.params) == (template, params)


@pytest.mark.parametrize(
    "path", ["", "/", "/things/", "/things/a/", "//things", "/things/a/b", "x", "/things/a/files/"]
)
def test_other_paths_find_nothing(path: str) -> None:
    """Additional slashes, prefixes and empty parameters do not match."""
    assert ROUTER.match(path) is None


def test_a_duplicate_route_is_rejected() -> None:
    """Two handlers of a method and path are a bug, found at startup."""
    with pytest.raises(ValueError, match="twice"):
        Router([("GET", "/a", 1), ("GET", "/a", 2)])


def test_every_route_of_the_gateway_is_reachable() -> None:
    """No template hides another one."""
    router = Router((route.key, route.path, route) for route in ROUTES)
    for route in ROUTES:
        match = router.match(route.path.replace("{", "").replace("}", ""))
        assert match is not None
        assert match.methods[route.key] is route
