"""One meaning of `allow_private` for each module type that accepts it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmesh.apps.catalog import DESCRIPTORS
from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.modules.module import ModuleContext, Setting
from flowmesh.apps.observing.hub import Hub
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.runtime.building import build
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.egress import OPEN, PUBLIC, Policy

KEYS = ("allow_private", "allowPrivate")
ACCEPTING = [
    (type, field.key)
    for type, each in DESCRIPTORS.items()
    for field in each.fields
    if field.key in KEYS
]
SILENT = LogHub(app="x", write=lambda _line: None)


def document(folder: Path, type: str, more: dict[str, Any]) -> Any:
    config = {**DESCRIPTORS[type].example, **more}
    path = folder / "app.yaml"
    path.write_text(yaml.safe_dump({"modules": [{"name": "a", "type": type, "config": config}]}))
    return load(path, Loading(environment={}))


def policy_of(folder: Path, type: str, host: Policy, more: dict[str, Any]) -> Policy:
    """Return the policy of a module on a host."""
    made = document(folder, type, more)
    context = ModuleContext(
        folder=folder,
        log=SILENT,
        hub=Hub(SILENT),
        registry=ServiceRegistry(made),
        document=made,
        policy=host,
        checks=dict,
    )
    return Setting(spec=made.modules[0], context=context, partners={}).policy


@pytest.mark.parametrize(("type", "key"), ACCEPTING)
def test_a_module_narrows_the_policy_of_its_host(tmp_path: Path, type: str, key: str) -> None:
    """false is public addresses, also on an open host; without the key the host decides."""
    named = Policy.named("public", ("10.0.0.0/8",))
    for host in (OPEN, PUBLIC, named):
        assert policy_of(tmp_path, type, host, {}) == host
        assert policy_of(tmp_path, type, host, {key: False}) == PUBLIC
    assert policy_of(tmp_path, type, OPEN, {key: True}) == OPEN


@pytest.mark.parametrize(("type", "key"), ACCEPTING)
def test_no_module_widens_the_policy_of_its_host(tmp_path: Path, type: str, key: str) -> None:
    """true is a finding where the host allows public addresses only."""
    made = document(tmp_path, type, {key: True})
    build(made, log=SILENT, policy=PUBLIC)
    found = [each for each in made.findings.found if "allow_private" in each.message]
    assert [each.code for each in found] == ["APP_CONFIG_INVALID"]
    assert len(ACCEPTING) >= 5
