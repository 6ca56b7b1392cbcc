"""Matching of paths to routes."""

import pytest

from flowmesh.gateway.app import REST
from flowmesh.gateway.routes import ROUTES
from flowmesh.runtime.http.router import Router

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
    ],
    rest=REST,
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
    found = ROUTER.match(path)
    assert found is not None
    assert (found[0].template, found[1]) == (template, params)


@pytest.mark.parametrize(
    "path", ["", "/", "/things/", "/things/a/", "//things", "/things/a/b", "x", "/things/a/files/"]
)
def test_other_paths_find_nothing(path: str) -> None:
    """Additional slashes, prefixes and empty parameters do not match."""
    assert ROUTER.match(path) is None


def test_a_duplicate_route_is_rejected() -> None:
    """Two handlers of a method and path are a bug, found at startup."""
    with pytest.raises(ValueError, match="already"):
        Router([("GET", "/a", 1), ("GET", "/a", 2)])


def test_every_route_of_the_gateway_is_reachable() -> None:
    """No template hides another one."""
    router = Router(((route.key, route.path, route) for route in ROUTES), rest=REST)
    for route in ROUTES:
        found = router.match(route.path.replace("{", "").replace("}", ""))
        assert found is not None
        assert found[0].methods[route.key] is route


@pytest.mark.parametrize("template", ["/", "/a/", "/a/{$}"])
def test_an_empty_segment_is_no_wildcard(template: str) -> None:
    """A route of the root, or with a slash at its end, has its own path only."""
    router = Router([("GET", template, "one")])
    path = template.replace("{$}", "")
    found = router.match(path)
    assert found is not None
    assert found[0].target("GET") == "one"
    assert router.match(f"{path}b") is None
