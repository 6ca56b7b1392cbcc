"""Proxies with several backends, as `http.proxy` and `reverseproxy`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from flowmesh.contract.json_value import Json
from tests.features.apps import RunningApp, running, written


def upstream(name: str) -> Json:
    """Return the modules of a backend with two fixed answers."""
    fixed = [
        ("/who", {"name": name}),
        ("/base/who", {"name": f"base of {name}"}),
        ("/shared/part" if name == "users" else "/base/shared/part", {name: "joined"}),
    ]
    return [
        {"name": "web", "type": "http.server", "config": {"address": ":0"}},
        {"name": "router", "type": "http.router"},
        *(
            {
                "name": f"answer{number}",
                "type": "http.handler",
                "config": {"path": path, "method": "GET", "body": body},
            }
            for number, (path, body) in enumerate(fixed)
        ),
    ]


@pytest.fixture(scope="module")
async def backends(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("users", "orders")}
    paths = {
        name: written(folder, yaml.safe_dump({"modules": upstream(name)}))
        for name, folder in folders.items()
    }
    async with running(paths["users"]) as users, running(paths["orders"]) as orders:
        yield {"users": users.url, "orders": orders.url, "down": "http://127.0.0.1:9"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("http.proxy", marks=pytest.mark.feature("S1-13")),
        pytest.param("reverseproxy", marks=pytest.mark.feature("S1-18")),
    ],
)
async def front(
    request: pytest.FixtureRequest,
    backends: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[RunningApp]:
    config = {
        "backend_services": backends,
        "routes": {
            "/users": "users",
            "/orders/*": "orders",
            "/broken": "down",
            "/exact": "down",
            "/exact/*": "users",
            "/exact/deep": "users",
        },
        "default_backend": "users",
        "composite_routes": {"/shared/*": {"backends": ["users", "orders"], "strategy": "merge"}},
        "backend_configs": {
            "users": {"path_rewriting": {"strip_base_path": "/users"}},
            "orders": {
                "path_rewriting": {"strip_base_path": "/orders", "base_path_rewrite": "/base"}
            },
        },
    }
    modules = [
        {"name": "web", "type": "http.server", "config": {"address": ":0"}},
        {"name": "router", "type": "http.router"},
        {"name": "proxy", "type": request.param, "config": config},
    ]
    folder: Path = tmp_path_factory.mktemp("front")
    async with running(written(folder, yaml.safe_dump({"modules": modules}))) as app:
        yield app


@pytest.mark.parametrize(
    ("path", "name"),
    [("/users/who", "users"), ("/orders/who", "base of orders"), ("/who", "users")],
)
async def test_a_pattern_leads_to_its_backend(front: RunningApp, path: str, name: str) -> None:
    """The prefix is stripped and rewritten per backend; other paths go to the default."""
    answer = await front.call("GET", path)
    assert (answer.status, answer.body["name"]) == (200, name)


async def test_a_composite_joins_the_answers_of_its_backends(front: RunningApp) -> None:
    """`merge` puts the members of all answers into one object."""
    answer = await front.call("GET", "/shared/part")
    assert (answer.status, answer.body) == (200, {"users": "joined", "orders": "joined"})


async def test_what_a_backend_answers_comes_back(front: RunningApp) -> None:
    """Statuses are passed on; a backend that is down is a 502."""
    assert (await front.call("GET", "/users/none")).status == 404
    assert (await front.call("DELETE", "/users/who")).status == 405
    assert (await front.call("GET", "/broken/x")).status == 502


async def test_a_plain_path_is_its_own_and_those_below_it(front: RunningApp) -> None:
    """`/broken` matches itself too; a wildcard beside `/exact` takes the paths below it."""
    assert (await front.call("GET", "/broken")).status == 502
    assert (await front.call("GET", "/exact")).status == 502
    for path in ("/exact/x", "/exact/deep", "/exact/deep/x"):
        assert (await front.call("GET", path)).status == 404


@pytest.mark.parametrize("pattern", ["/a/{id}/{id}", "/*/b", "/a/{x"])
def test_a_pattern_that_cannot_be_is_refused_with_its_place(pattern: str, tmp_path: Path) -> None:
    """A wrong pattern is an error of its module, not of the program."""
    config = {"backend_services": {"a": "http://127.0.0.1:9"}, "routes": {pattern: "a"}}
    text = yaml.safe_dump(
        {
            "modules": [
                {"name": "web", "type": "http.server", "config": {"address": ":0"}},
                {"name": "router", "type": "http.router"},
                {"name": "proxy", "type": "reverseproxy", "config": config},
            ]
        }
    )
    found = check(written(tmp_path, text), Loading(environment={})).problems
    assert [(each.code, each.place) for each in found if not each.warning] == [
        ("ROUTE_CONFLICT", "modules[2].config")
    ]
