"""The key that a host gives an application is sent to the suite of the host only."""

import os
from typing import Any

import pytest

from flowmesh.apps.messaging.suite import token_at
from flowmesh.apps.release_process.checking import attach
from flowmesh.apps.release_process.conversation import API_KEY, Begin

HOST = {"FLOWMESH_ADDRESS": "127.0.0.1:29080", "FLOWMESH_NAMESPACE": "own", API_KEY: "issued"}
RELEASE = {"FLOWMESH_ADDRESS": "attacker.example:1", "FLOWMESH_NAMESPACE": "other"}


def begin(environment: dict[str, str], suite: dict[str, str]) -> Begin:
    bounds: dict[str, Any] = {"memory_bytes": 1, "files_max": 1, "egress": "public"}
    return Begin(
        app="a", document="app.yaml", data="data", environment=environment, suite=suite, **bounds
    )


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOST:
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize("name", sorted(HOST))
def test_a_release_cannot_move_the_key_of_the_host(name: str) -> None:
    """Address, namespace and key of the host count together; other variables are its own."""
    attach(begin({name: "attacker.example:1"}, HOST))
    assert {each: os.environ[each] for each in HOST} == HOST


def test_a_release_with_a_key_of_its_own_names_its_suite() -> None:
    """Its own variables win over those of the host."""
    own = {**RELEASE, API_KEY: "own"}
    suite = {each: HOST[each] for each in HOST if each != API_KEY}
    attach(begin(own, suite))
    assert {each: os.environ[each] for each in HOST} == own


def test_a_broker_of_another_suite_does_not_get_the_key() -> None:
    """An address of the document that is not that of the environment is called without it."""
    attach(begin({}, HOST))
    assert token_at("") is None
    assert token_at(HOST["FLOWMESH_ADDRESS"]) is None
    assert token_at("attacker.example:1") == ""
