"""Statements that change audited tables carry the call that they serve."""

import re

import pytest

from tests.tidy import sources

SERVICES = (
    "apphost",
    "broker",
    "definition",
    "event",
    "fleet",
    "identity",
    "observe",
    "orchestrator",
)
TRIGGER = re.compile(
    r"^create (?:constraint )?trigger audit\w*\s+after ([\w\s]+?)\s+on (\w+)", re.MULTILINE
)
QUERY = re.compile(r"^-- name: ([\w-]+)\(.*?(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
CHANGE = re.compile(r"\b(insert) into (\w+)|^\s*(update) (\w+)|\b(delete) from (\w+)", re.MULTILINE)
# Statements without a caller, and those that change other columns than the audited ones.
WITHOUT_CALL = {
    "note-login": "the time of a login",
    "note-use": "the time of a use",
    "use-refresh-token": "the time of a use",
    "claim-check": "the time of a check at an identity provider",
    "forget-check": "the time of a check at an identity provider",
    "set-provider-tokens": "the tokens of an identity provider",
    "delete-old-imports": "the end of what was opened before",
    "erase-tenants": "the end of what was deleted before",
    "move-schedules": "the times of firings",
    "end-firing": "the outcomes of firings",
    "note-misfits": "the outcomes of firings",
    "refuse-changes": "the outcomes of firings",
    "lose-change-slot": "the problem of a trigger",
    "take_page": "the progress of a bulk",
    "want-new": "an entry about the release itself",
    "set-state": "the state of a process",
    "set-release": "the release that a process serves",
    "forget-processes": "the states of processes",
    "count_page": "the progress of a bulk",
    "note-spec": "the count that is wanted, and a problem",
    "settle-spec": "the version that all agents reached",
    "remember": "the state of a policy",
    "start-agent": "the state of a process",
    "ready-agent": "the state of a process",
    "degrade-agent": "the state of a process",
    "end-agent": "the state of a process",
    "measure-agents": "figures of processes",
    "claim-objectives": "the time of a state",
    "set-objective-state": "the state of an objective",
    "beat-agents": "figures of processes",
    "forget": "agents that ended long ago",
}


def _of(service: str, folder: str) -> list[str]:
    """Return the texts of the SQL files in a folder of a service."""
    place = re.compile(rf"services/flowmesh/{service}/(\w+/)?{folder}/[^/]+\.sql")
    return [sources.text(name) for name in sources.tracked() if place.fullmatch(name)]


def _audited(service: str) -> set[tuple[str, str]]:
    """Return the kinds of changes and the tables that triggers record."""
    found = (trigger for text in _of(service, "migrations") for trigger in TRIGGER.findall(text))
    return {
        (kind, table)
        for kinds, table in found
        for kind in re.findall("insert|update|delete", kinds)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_changes_of_audited_tables_carry_the_call(service: str) -> None:
    """Otherwise the log names no caller for them."""
    audited = _audited(service)
    assert audited
    changing = {
        query.group(1): query.group(0)
        for text in _of(service, "sql")
        for query in QUERY.finditer(text)
        if any(tuple(filter(None, change)) in audited for change in CHANGE.findall(query.group(0)))
    }
    assert changing
    missing = {name for name, text in changing.items() if ":call" not in text}
    assert missing <= WITHOUT_CALL.keys(), missing
