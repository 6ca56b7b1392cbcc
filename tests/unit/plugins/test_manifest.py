"""Manifests: versions of Flowmesh, the configuration, and the permissions that follow from it."""

from typing import Any

import msgspec
import pytest

from flowmesh.errors import Invalid, WrongState
from flowmesh.plugins import limits
from flowmesh.plugins.manifest import (
    Manifest,
    check_runs_on,
    configured,
    granted,
    manifest_of,
    words_of,
)

CONTENT: dict[str, Any] = {
    "name": "mail",
    "version": "1.0.0",
    "kind": "task",
    "summary": "Send mail.",
    "tasks": {"mail.send": "mail.tasks:send"},
    "permissions": {"connect": ["{host}:{port}"], "secrets": ["{password}"]},
    "configuration": {
        "type": "object",
        "required": ["host"],
        "properties": {
            "host": {"type": "string"},
            "port": {"type": "integer", "default": 25},
            "password": {"type": "string", "default": "mail-password"},
        },
    },
}
PANEL = {"title": "Mail", "page": "mail/page.html", "places": ["execution"]}
OWN: dict[str, Any] = {
    "kind": "panel",
    "tasks": {},
    "permissions": {"read": ["history"]},
    "configuration": {"type": "object"},
}


def manifest(**changes: Any) -> Manifest:
    return manifest_of({**CONTENT, **changes})


def test_a_manifest_is_read_from_what_is_written() -> None:
    """Absent parts have their defaults in both directions."""
    assert manifest_of(msgspec.json.encode(manifest())) == manifest()


@pytest.mark.parametrize("bounds", ["", ">=0.2", ">=0.1,<1", "==0.2.0", "<=0.2"])
def test_a_version_in_its_range_is_accepted(bounds: str) -> None:
    """All bounds hold at once; no bound holds always."""
    check_runs_on(manifest(flowmesh=bounds), "0.2.0")


@pytest.mark.parametrize("bounds", [">=0.3", "<0.2", ">0.2.0", ">=0.1,<0.2", "==1"])
def test_a_version_out_of_its_range_is_refused(bounds: str) -> None:
    """The refusal has the bounds and the version."""
    with pytest.raises(WrongState, match=r"mail 1.0.0 is for Flowmesh .* is 0.2.0") as caught:
        check_runs_on(manifest(flowmesh=bounds), "0.2.0")
    assert caught.value.reason == "PLUGIN_UNSUPPORTED"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"libraries": ["../x"]}, "libraries"),
        ({"libraries": ["a"] * (limits.LIBRARIES_MAX + 1)}, "libraries"),
        ({"flowmesh": "~=1"}, "manifest.flowmesh"),
        ({"tasks": {}}, "manifest.tasks"),
        ({"tasks": {"x": "os:system"}}, "is not in the package mail"),
        ({"self_test": "os.path:exists"}, "is not in the package mail"),
        (
            {"kind": "identity"},
            "'identity' is not supported; .* are of: task, connector",
        ),
        (OWN, "manifest.panel: a plugin of the kind panel has it"),
        ({"panel": PANEL}, "manifest.panel: a plugin of the kind task has none"),
        (
            {"permissions": {"read": ["execution"]}},
            "permissions.read: a plugin of the kind task has none",
        ),
        ({"permissions": {"read": ["secrets"]}}, "secrets"),
        ({"kind": "panel", "panel": PANEL}, "manifest.tasks: a plugin of the kind panel has none"),
        ({"kind": "connector"}, "manifest.connection: a plugin of the kind connector has it"),
        ({"kind": "connector", "connection": {"open": "os:open"}}, "is not in the package mail"),
        ({"kind": "format", "tasks": {}}, "manifest.format: a plugin of the kind format has it"),
        (
            {"kind": "transform", "tasks": {}, "permissions": {}},
            "manifest.transform: a plugin of the kind transform has it",
        ),
        (
            {"kind": "transform", "tasks": {}, "transform": {"function": "mail:f"}},
            "permissions.connect: a plugin of the kind transform has none",
        ),
        (OWN | {"panel": PANEL | {"page": "other/page.html"}}, "is not in the package mail"),
        (OWN | {"panel": PANEL | {"page": "mail/../page.html"}}, "page"),
        (OWN | {"panel": PANEL | {"places": []}}, "places"),
        ({"name": "../mail"}, "name"),
        ({"name": "m" * (limits.NAME_CHARACTERS_MAX + 1)}, "name"),
        ({"tasks": {f"mail.{n}": "mail:send" for n in range(limits.TASKS_MAX + 1)}}, "tasks"),
        ({"permissions": {"secrets": ["a"] * (limits.PERMISSIONS_MAX + 1)}}, "permissions"),
        (
            OWN | {"panel": PANEL, "configuration": {"type": "object", "properties": {}}},
            "manifest.configuration: a plugin of the kind panel has none, only task, connector,"
            " module-type, format, transform, login",
        ),
        ({"configuration": {"type": "nothing"}}, "manifest.configuration"),
        ({"configuration": {"$ref": "http://elsewhere.example/x"}}, "another document"),
    ],
)
def test_a_wrong_manifest_is_refused(changes: dict[str, Any], place: str) -> None:
    """The refusal names the place."""
    with pytest.raises(Invalid, match=place):
        manifest(**changes)


def test_a_panel_asks_for_what_it_reads() -> None:
    """Its permissions are words as those of other kinds."""
    found = manifest(**OWN, panel=PANEL)
    assert words_of(granted(found, {})) == ["read history"]


def test_permissions_follow_from_the_configuration() -> None:
    """Defaults are filled in, and places in permissions too."""
    found = configured(manifest(), '{"host": "mail.example"}')
    assert found == {"host": "mail.example", "port": 25, "password": "mail-password"}
    words = words_of(granted(manifest(), found))
    assert words == ["connect mail.example:25", "secret mail-password"]


def test_a_list_of_the_configuration_is_a_permission_each() -> None:
    """Each value is an endpoint of its own, and their number is bounded."""
    asks = manifest(permissions={"connect": ["{host}"]})
    assert granted(asks, {"host": ["b:2", "a:1"]}).connect == ("b:2", "a:1")
    many = {"host": [f"a{n}:1" for n in range(limits.PERMISSIONS_MAX + 1)]}
    with pytest.raises(Invalid, match="more than 20 permissions"):
        granted(asks, many)
    with pytest.raises(Invalid, match=r"configuration.host"):
        granted(asks, {"host": [["a:1"]]})


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://hooks.example/x", "hooks.example:443"),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ("http://[::1]:80/x", "[::1]:80"),
    ],
)
def test_a_url_is_an_endpoint(url: str, endpoint: str) -> None:
    """The port of a URL is that of its scheme by default."""
    asks = manifest(permissions={"connect": ["{host}"]})
    assert granted(asks, {"host": url}).connect == (endpoint,)


@pytest.mark.parametrize("host", ["*", "a b", "mail.example:0", "ftp://x", "", None, True])
def test_no_endpoint_is_refused(host: Any) -> None:
    """A value that is no host and no URL gives no permission."""
    asks = manifest(permissions={"connect": ["{host}"]})
    with pytest.raises(Invalid, match="permissions"):
        granted(asks, {"host": host})


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("{}", "configuration"),
        (" " * (limits.CONFIGURATION_BYTES_MAX + 1), "configuration"),
        ('{"host": 1}', "configuration.host"),
        ("[]", "configuration"),
    ],
)
def test_a_wrong_configuration_is_refused(content: str, place: str) -> None:
    """The refusal names the value."""
    with pytest.raises(Invalid, match=f"INVALID: {place}: "):
        configured(manifest(), content)
