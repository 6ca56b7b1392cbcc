"""Modules of plugins in documents: what is installed, and the schemas of their configurations."""

import json
from pathlib import Path

import pytest

from flowmesh.apps.components.plugins import PluginType
from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.offline.checking import silent_log
from flowmesh.apps.release_process.conversation import Begin, read, written
from flowmesh.apps.runtime.building import build
from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Problem

SCHEMA = {
    "type": "object",
    "required": ["percent"],
    "properties": {
        "percent": {"type": "number"},
        "key": {"type": "string", "minLength": 8},
        "rates": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "additionalProperties": False,
}
TAX = PluginType(
    handler="tax.module:call",
    modules={"tax/__init__.py": "", "tax/module.py": "def call(input, module): return input"},
    config_schema=json.dumps(SCHEMA),
    settings="{}",
    connect=["tax.example:443"],
)


def findings(
    folder: Path, config: Json, plugins: dict[str, PluginType] | None, kind: str = "plugin:tax"
) -> list[Problem]:
    """Return the findings of an application with one module."""
    path = folder / "app.json"
    path.write_text(json.dumps({"modules": [{"name": "part", "type": kind, "config": config}]}))
    document = load(path, Loading(environment={}))
    build(document, log=silent_log("app"), plugins=plugins)
    return document.findings.found


def test_a_module_of_an_installed_plugin_is_built(tmp_path: Path) -> None:
    """A secret that a check does not read fits every place."""
    config = {"percent": 19, "key": "${vault:tax#key}", "rates": {"de": 19}}
    assert findings(tmp_path, config, {"tax": TAX}) == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, '"percent" is a required property'),
        ({"percent": "19"}, 'percent: "19" is not of type "number"'),
        ({"percent": 1, "key": "short"}, "key: "),
        ({"percent": 1, "rates": {"de": "x"}}, "rates.de: "),
        ({"percent": 1, "other": 1}, "'other' was unexpected"),
    ],
)
def test_a_configuration_that_its_schema_refuses_is_a_finding(
    tmp_path: Path, config: Json, words: str
) -> None:
    """It names the place and what would be right."""
    (found,) = findings(tmp_path, config, {"tax": TAX})
    assert (found.code, found.warning) == ("APP_CONFIG_INVALID", False)
    assert words in found.message


def test_a_plugin_that_is_not_installed_is_a_finding(tmp_path: Path) -> None:
    """It says how it is installed."""
    (found,) = findings(tmp_path, {}, {})
    assert (found.code, found.warning) == ("PLUGIN_NOT_FOUND", False)
    assert "`flowmesh plugin install tax` installs it" in found.message


def test_a_check_without_a_host_warns(tmp_path: Path) -> None:
    """The plugins of a suite are not known to it."""
    (found,) = findings(tmp_path, {}, None)
    assert (found.code, found.warning) == ("APP_UNSUPPORTED", True)
    assert "deploy the application" in found.message


@pytest.mark.parametrize("kind", ["plugin:", "plugin:Tax", "plugin:tax-", "plugin:tax\n", "plug"])
def test_a_type_with_no_name_of_a_plugin_is_unknown(tmp_path: Path, kind: str) -> None:
    """Names are those of manifests."""
    (found,) = findings(tmp_path, {}, {"tax": TAX}, kind)
    assert found.code == "MODULE_TYPE_UNKNOWN"


def test_a_long_name_is_checked_at_once(tmp_path: Path) -> None:
    """The pattern of names has one way to read a text."""
    (found,) = findings(tmp_path, {}, {}, f"plugin:{'a' * 200}!")
    assert found.code == "MODULE_TYPE_UNKNOWN"


def test_the_module_types_reach_the_process() -> None:
    """They are the same at the other end of the conversation."""
    begin = Begin(
        app="shop",
        document="app.yaml",
        data="data",
        environment={},
        memory_bytes=1,
        files_max=1,
        egress="open",
        plugins={"tax": TAX},
    )
    received = read(written(begin).rstrip())
    assert isinstance(received, Begin)
    assert received.plugins == {"tax": TAX}
