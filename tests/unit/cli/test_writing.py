"""Output formats, empty lists, times, nouns and common options of commands."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from flowmesh.cli import output
from flowmesh.sdk.values.executions import Status
from tests.unit.cli.conftest import Run
from tests.unit.sdk.stand_ins import COMPLETED, StandIn, execution

LISTS = (
    ("list", "executions"),
    ("list", "workflows"),
    ("list", "tasks"),
    ("search",),
    ("profile", "list"),
    ("list", "operations", "--category", "nothing"),
)
GETS = (*LISTS, ("services",), ("get", "execution", "exec-1"), ("config",), ("stats",))


@pytest.mark.parametrize("tokens", GETS, ids=" ".join)
async def test_yaml_and_json_are_equal(
    flowmesh: Run, server: StandIn, tokens: tuple[str, ...]
) -> None:
    """`-o json`, `-o yaml` and `--json` of all commands that list or show."""
    server.executions.put(execution("exec-1", COMPLETED))
    as_json = await flowmesh(*tokens, "-o", "json")
    as_yaml = await flowmesh(*tokens, "-o", "yaml")
    assert (as_json.code, as_yaml.code) == (0, 0)
    assert yaml.safe_load(as_yaml.out) == as_json.json == (await flowmesh(*tokens, "--json")).json


@pytest.mark.parametrize("tokens", LISTS, ids=" ".join)
async def test_an_empty_list_is_reported_on_a_terminal(
    flowmesh: Run, tokens: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the header is printed, because scripts depend on it."""
    piped = await flowmesh(*tokens)
    assert re.fullmatch(r"[A-Z0-9 ]+\n", piped.out)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert re.fullmatch(r"No [a-z]+ found\.\n", (await flowmesh(*tokens)).out)


async def test_common_options_are_accepted_before_and_after(flowmesh: Run, server: StandIn) -> None:
    """Or between its words; with `-n` short of --namespace, and with an equals sign."""
    lines = (
        "--namespace payments -o json list executions",
        "-n payments list --json executions",
        "--namespace=payments --json get execution",
        "get executions -n payments -o=json",
    )
    for line in lines:
        outcome = await flowmesh(*line.split())
        assert (outcome.code, outcome.json) == (0, [])
    assert [request.namespace for request in server.executions.lists] == ["payments"] * len(lines)


@pytest.mark.parametrize("noun", ["execution", "executions"])
async def test_nouns_are_singular_or_plural(flowmesh: Run, server: StandIn, noun: str) -> None:
    """`get` and `list` accept both, with and without an id."""
    server.executions.put(execution("exec-1", COMPLETED))
    for verb in ("get", "list"):
        assert [each["executionId"] for each in (await flowmesh(verb, noun, "--json")).json] == [
            "exec-1"
        ]
        assert (await flowmesh(verb, noun, "exec-1", "--json")).json["executionId"] == "exec-1"
    refused = await flowmesh("get", noun, "exec-1", "--status", "failed")
    assert (refused.code, "filters cannot be combined with exec-1" in refused.err) == (2, True)


async def test_tables_have_ages_and_details_have_zones(
    flowmesh: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Local time with its offset, or UTC; `-o wide` has times instead of ages."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    import time

    time.tzset()
    server.executions.put(execution("exec-1", COMPLETED))
    assert re.search(r" [0-9]+d ago ", (await flowmesh("list", "executions")).out)
    local, utc = "2023-11-15 03:43:20 +05:30", "2023-11-14 22:13:20 UTC"
    assert local in (await flowmesh("list", "executions", "-o", "wide")).out
    assert f"started {local}\n" in (await flowmesh("get", "execution", "exec-1")).out
    assert f"started {utc}\n" in (await flowmesh("get", "execution", "exec-1", "--utc")).out
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=4), "4s ago"),
        (timedelta(minutes=3, seconds=50), "3m ago"),
        (timedelta(hours=30), "1d ago"),
        (-timedelta(hours=2, seconds=9), "in 2h"),
    ],
)
def test_an_age_is_short(ago: timedelta, text: str) -> None:
    """It has its largest unit, for past and future times."""
    assert output.age(datetime.now(UTC) - ago) == text


async def test_services_fit_into_a_terminal(flowmesh: Run) -> None:
    """Within 100 columns; `-o wide` adds columns."""
    lines = (await flowmesh("services")).out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["NAME", "ID", "STATUS", "ENDPOINT", "HEARTBEAT", "VERSION"]
    assert "CAPABILITIES" in (await flowmesh("services", "-o", "wide")).out


async def test_a_status_of_the_sdk_is_text(flowmesh: Run, server: StandIn) -> None:
    """In YAML and in JSON."""
    server.executions.put(execution("exec-1", COMPLETED))
    shown = yaml.safe_load((await flowmesh("get", "execution", "exec-1", "-o", "yaml")).out)
    assert shown["status"] == Status.COMPLETED
