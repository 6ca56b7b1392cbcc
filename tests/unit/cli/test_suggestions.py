"""Completion of values as the script of a shell requests it."""

from pathlib import Path

import pytest

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.cli.completion import suggestions
from flowmesh.testing.polling import allowed_s
from tests.unit.cli.conftest import Run
from tests.unit.sdk.stand_ins import COMPLETED, StandIn, execution

pytestmark = pytest.mark.long


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(suggestions, "TIMEOUT_S", allowed_s(2 * suggestions.TIMEOUT_S))
    return tmp_path


async def suggested(flowmesh: Run, *words: str) -> list[str]:
    """Return the suggestions for the last word."""
    outcome = await flowmesh("__complete", *words)
    assert (outcome.code, outcome.err) == (0, "")
    return [line.split("\t")[0] for line in outcome.out.splitlines()]


@pytest.mark.parametrize(
    "words",
    [("get", "execution"), ("watch",), ("logs",), ("list", "executions"), ("compare", "exec-1")],
    ids=" ".join,
)
async def test_ids_of_executions_are_completed(
    flowmesh: Run, server: StandIn, folder: Path, words: tuple[str, ...]
) -> None:
    """For all commands with such an argument."""
    server.executions.put(execution("exec-1", COMPLETED))
    assert await suggested(flowmesh, *words, "") == ["exec-1"]
    assert await suggested(flowmesh, "-n", "default", *words, "") == ["exec-1"]


@pytest.mark.parametrize("words", [("start",), ("get", "workflow"), ("stats",), ("changes",)])
async def test_names_of_workflows_are_completed(
    flowmesh: Run, server: StandIn, folder: Path, words: tuple[str, ...]
) -> None:
    """From the suite at the address of the command."""
    server.definitions.workflows["order"] = definition_pb2.Workflow(workflow_id="order", version=1)
    assert await suggested(flowmesh, *words, "") == ["order"]
    assert await suggested(flowmesh, *words, "--address", "127.0.0.1:9", "") == []


async def test_files_and_profiles_are_completed(flowmesh: Run, folder: Path) -> None:
    """Inputs after an @; profiles by name."""
    (folder / "input.json").write_text("{}")
    assert await suggested(flowmesh, "start", "order", "--input", "@in") == ["@input.json"]
    await flowmesh("profile", "set", "near", "--address", "near:1")
    assert await suggested(flowmesh, "profile", "use", "") == ["near"]


async def test_without_a_suite_there_are_no_suggestions(
    flowmesh: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No value and no message, within the timeout."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", "127.0.0.1:9")
    assert await suggested(flowmesh, "watch", "") == []
    assert await suggested(flowmesh, "retry", "exec-1", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_scripts_ask_the_command_and_complete_files(
    flowmesh: Run, folder: Path, shell: str
) -> None:
    """For values of the suite, and for `-f`."""
    script = (await flowmesh("completion", shell)).out
    assert "__complete" in script
    files = {"bash": "compgen -f", "zsh": "_files", "fish": "__fish_complete_path"}
    assert files[shell] in script
