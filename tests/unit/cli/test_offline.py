"""Commands that need no suite: lint, dry-run, test, schema, errors; and problems on a terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import get_args

import jsonschema_rs
import pytest

from flowmesh.cli.definitions.problems import snippet
from flowmesh.definitions.bundled import items
from flowmesh.dryrun.editor import SCHEMAS
from flowmesh.errors.failures import FAILURE_CLASSES
from flowmesh.insight.causes import Cause
from flowmesh.insight.waits import WaitReason
from tests.unit.cli.conftest import Run
from tests.unit.dryrun.test_suites import DEFINITION, HEAD

PASSING = "  - {name: small, input: {total: 5}}\n  - {name: large, input: {total: 500}}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "order.yaml").write_text(DEFINITION)
    (tmp_path / "large.json").write_text('{"total": 500}')
    (tmp_path / "order.test.yaml").write_text(HEAD + PASSING)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_tests_pass_and_are_covered(flowmesh: Run, folder: Path) -> None:
    """In this folder, with the coverage of nodes and branches."""
    outcome = await flowmesh("test")
    assert outcome.code == 0, outcome.out
    assert outcome.out.splitlines() == [
        "order.test.yaml",
        "  ✔ small",
        "  ✔ large",
        "coverage of order: 3/3 nodes, 2/2 branches",
        "2 passed; coverage 100.0 %",
    ]


async def test_low_coverage_fails(flowmesh: Run, folder: Path) -> None:
    """`-k` selects tests by name; low coverage is exit code 1."""
    outcome = await flowmesh("test", "-k", "small", "--json")
    assert outcome.code == 0
    assert outcome.json["passed"] is True
    assert [test["name"] for test in outcome.json["tests"]] == ["small"]
    assert outcome.json["coverage"]["percent"] == 60
    assert outcome.json["coverage"]["workflows"][0]["missed"] == ["gift", "gift is true"]
    low = await flowmesh("test", "-k", "small", "--min-coverage", "80")
    assert low.code == 1
    assert "coverage 60.0 %, not 80 % or more" in low.err


async def test_a_failing_test_shows_the_difference(flowmesh: Run, folder: Path) -> None:
    """With the line of the test; also as JUnit XML."""
    file = folder / "order.test.yaml"
    file.write_text(HEAD + "  - {name: wrong, expect: {output: {paid: p-1, total: 2}}}\n")
    outcome = await flowmesh("test", str(file), "--junit", "out.xml")
    assert outcome.code == 1
    assert "status: expected completed, is failed (ValidationError" in outcome.out
    assert f"at {file}:5" in outcome.out
    assert "<failure" in (folder / "out.xml").read_text()


async def test_a_file_that_cannot_run_covers_nothing(flowmesh: Run, folder: Path) -> None:
    """A wrong name of a mock: no coverage is claimed, also not that of a valid file beside it."""
    wrong = HEAD + "  - {name: a, mocks: {nobody: {output: 1}}}\n"
    (folder / "wrong.test.yaml").write_text(wrong)
    alone = await flowmesh("test", "wrong.test.yaml", "--min-coverage", "1")
    assert alone.code == 1
    assert "1 failed; coverage unknown" in alone.out
    both = await flowmesh("test")
    assert (both.code, "100" in both.out) == (1, False), both.out
    assert (await flowmesh("test", "--json")).json["coverage"]["percent"] is None


async def test_an_invalid_file_is_reported(flowmesh: Run, folder: Path) -> None:
    """One line per problem, with file, line and column."""
    (folder / "order.test.yaml").write_text(HEAD + "  - {name: a, expcet: {}}\n")
    outcome = await flowmesh("test")
    assert outcome.code == 1
    assert "error: order.test.yaml:5:15: tests[0].expcet" in outcome.err
    assert "did you mean 'expect'?" in outcome.err


@pytest.mark.parametrize("tokens", [["nowhere"], ["empty"]])
async def test_no_tests_are_wrong_usage(flowmesh: Run, folder: Path, tokens: list[str]) -> None:
    """They are not a success."""
    (folder / "empty").mkdir()
    assert (await flowmesh("test", *tokens)).code == 2


async def test_files_of_tests_are_not_definitions(flowmesh: Run, folder: Path) -> None:
    """Apply and validate of a folder skip them."""
    outcome = await flowmesh("lint", "-f", str(folder), "--json")
    places = {problem["place"].split(":")[0] for problem in outcome.json["problems"]}
    assert {Path(place).name for place in places} <= {"order.yaml", "large.json"}


async def test_a_dry_run_needs_no_suite(flowmesh: Run, folder: Path) -> None:
    """It prints calls, path and output; mocks are read from a file."""
    (folder / "mocks.yaml").write_text("pay: {output: {id: p-9}}\n")
    tokens = ("dry-run", "-f", "order.yaml", "--mocks", "mocks.yaml", "--input", '{"total": 5}')
    outcome = await flowmesh(*tokens)
    assert outcome.code == 0, outcome.err
    assert "✔ order  completed  1 h 00 min (virtual)" in outcome.out
    assert 'pay: POST https://pay.example/ {"total":5}' in outcome.out
    shown = (await flowmesh(*tokens, "--json")).json
    assert shown["output"] == {"paid": "p-9", "total": 5}
    assert (shown["path"], shown["skipped"]) == (["pay", "wait"], ["gift"])


async def test_a_dry_run_that_fails_is_exit_code_one(flowmesh: Run, folder: Path) -> None:
    """So is one that cannot start; the reason is printed."""
    (folder / "mocks.yaml").write_text("pay: {failure: {class: ClientError, message: declined}}\n")
    tokens = ("dry-run", "-f", "order.yaml", "--input", '{"total": 5}', "--mocks")
    failed = await flowmesh(*tokens, "mocks.yaml")
    assert failed.code == 1
    assert "ClientError in pay: declined" in failed.out
    (folder / "mocks.yaml").write_text("pey: {output: 1}\n")
    refused = await flowmesh(*tokens, "mocks.yaml")
    assert refused.code == 1
    assert "did you mean 'pay'?" in refused.err
    (folder / "order.yaml").write_text(DEFINITION.replace("taskRef: charge", "taskRef: other"))
    missing = await flowmesh(*tokens[:-1])
    assert missing.code == 1
    assert "--remote" in missing.err
    assert (await flowmesh("dry-run")).code == 2


async def test_lint_warns_and_strict_refuses(flowmesh: Run, folder: Path) -> None:
    """Exit code 1 with --strict only; codes can be ignored."""
    warned = await flowmesh("lint", "-f", "order.yaml")
    assert warned.code == 0
    assert "warning: order.yaml:4:1: documents[0].spec: charge has no timeout" in warned.err
    assert warned.out == "no errors, 1 warning\n"
    assert (await flowmesh("lint", "-f", "order.yaml", "--strict")).code == 1
    ignored = await flowmesh("lint", "-f", "order.yaml", "--strict", "--ignore", "LINT_TIMEOUT")
    assert ignored.code == 0


async def test_lint_resolves_bundled_tasks(flowmesh: Run, folder: Path) -> None:
    """Tasks that are not in the files may be bundled; other errors are reported."""
    (folder / "order.yaml").write_text(DEFINITION.replace("taskRef: charge", "taskRef: other"))
    assert (await flowmesh("lint", "-f", "order.yaml")).code == 0
    (folder / "order.yaml").write_text(DEFINITION.replace("dependsOn: [pay]", "dependsOn: [pey]"))
    wrong = await flowmesh("lint", "-f", "order.yaml", "--json")
    assert wrong.code == 1
    assert {p["code"] for p in wrong.json["problems"]} == {"GRAPH_UNKNOWN_NODE", "LINT_TIMEOUT"}


@pytest.fixture
def no_suite(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An address without a suite."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", "127.0.0.1:9")
    return folder


@pytest.mark.parametrize(
    "tokens",
    [
        ("validate", "-f", "order.yaml"),
        ("validate", "-f", "order.yaml", "--lint"),
        ("lint", "-f", "order.yaml"),
        ("dry-run", "-f", "order.yaml", "--input", '{"total": 5}'),
        ("test",),
        ("convert", "-f", "order.yaml", "-t", "python"),
        ("graph", "-f", "order.yaml", "-o", "mermaid"),
        ("graph", "-f", "order.yaml", "-o", "svg"),
        ("transform", '[{"operation": "select", "fields": ["a"]}]', "--input", '{"a": 1}'),
        ("errors", "NO_WORKER"),
        ("schema", "workflow"),
    ],
    ids=" ".join,
)
async def test_no_suite_is_needed(flowmesh: Run, no_suite: Path, tokens: tuple[str, ...]) -> None:
    """For all commands whose input is in files."""
    outcome = await flowmesh(*tokens)
    assert (outcome.code, bool(outcome.out)) == (0, True), outcome.err


async def test_validation_finds_errors_without_a_suite(flowmesh: Run, no_suite: Path) -> None:
    """With file, line and code, like a rejection of `apply`."""
    file = no_suite / "order.yaml"
    file.write_text(DEFINITION.replace("dependsOn: [pay]", "dependsOn: [pey]"))
    outcome = await flowmesh("validate", "-f", "order.yaml")
    assert (outcome.code, outcome.out) == (1, "invalid\n")
    assert outcome.err.startswith("error: order.yaml:15:45: documents[1].tasks[1].dependsOn[0]")
    shown = (await flowmesh("validate", "-f", "order.yaml", "-o", "yaml")).out
    assert "code: GRAPH_UNKNOWN_NODE" in shown


async def test_bundled_tasks_are_resolved_without_a_suite(flowmesh: Run, no_suite: Path) -> None:
    """For validate, lint, dry-run, explain and test; a bundled workflow uses them."""
    workflow = next(item for item in items() if item.task_refs)
    (no_suite / "order.yaml").write_text(workflow.text)
    for command in (("validate", "-f"), ("lint", "-f"), ("explain",)):
        outcome = await flowmesh(*command, "order.yaml")
        assert "not checked" not in outcome.err
        assert "TASK_NOT_FOUND" not in outcome.out
    shown = await flowmesh("dry-run", "-f", "order.yaml", "--json")
    assert shown.json["error"]["reason"] == "INPUT_INVALID"  # its plan was made with its tasks


async def test_unchecked_tasks_are_named(flowmesh: Run, no_suite: Path) -> None:
    """An unknown task is neither an error nor a warning; --remote asks the suite."""
    file = no_suite / "order.yaml"
    file.write_text(DEFINITION.replace("taskRef: charge", "taskRef: other"))
    for command in ("validate", "lint"):
        outcome = await flowmesh(command, "-f", "order.yaml", "--json")
        assert outcome.json["unchecked"] == ["other"]
    outcome = await flowmesh("validate", "-f", "order.yaml")
    assert (outcome.code, outcome.out) == (0, "valid\n")
    assert outcome.err.startswith("not checked: other; not in the files and not bundled")
    for option in (("--remote",), ("--address", "127.0.0.1:9")):
        assert (await flowmesh("validate", "-f", "order.yaml", *option)).code == 3


@pytest.mark.parametrize("kind", SCHEMAS)
async def test_schemas_are_printed(flowmesh: Run, kind: str) -> None:
    """In the form that editors read."""
    outcome = await flowmesh("schema", kind)
    assert outcome.code == 0
    assert outcome.json == SCHEMAS[kind]()
    jsonschema_rs.meta.validate(outcome.json)


async def test_errors_are_explained(flowmesh: Run) -> None:
    """One code, a misspelled one with a suggestion, and all codes."""
    page = await flowmesh("errors", "graph_cycle")
    assert page.code == 0
    assert "Wrong:" in page.out
    assert "dependencies: [pay]" in page.out
    assert (await flowmesh("errors", "GRAPH_CYCLE", "--json")).json["httpStatus"] == 400
    unknown = await flowmesh("errors", "GRAPH_CICLE")
    assert (unknown.code, "did you mean GRAPH_CYCLE?" in unknown.err) == (2, True)
    assert "GRAPH_CYCLE" in (await flowmesh("errors", "--json")).json


@pytest.mark.parametrize("code", [*Cause, *FAILURE_CLASSES, *get_args(WaitReason), "run"])
async def test_every_cause_that_is_printed_is_explained(flowmesh: Run, code: str) -> None:
    """Causes of `explain`, reasons of `trace` and `bottlenecks`, failure classes."""
    outcome = await flowmesh("errors", code)
    assert outcome.code == 0, outcome.err
    assert outcome.out.lower().startswith(f"{code.lower()}: ")
    assert "{" not in outcome.out.splitlines()[0]


def test_the_caret_is_below_the_column() -> None:
    """A long line is truncated around it."""
    line, caret = snippet(7, "    taskRef: chrge", 14)
    assert line == "     7 |     taskRef: chrge"
    assert caret == "       |              ^"
    assert line[caret.index("^")] == "c"
    line, caret = snippet(7, "x" * 500 + "Y" + "z" * 500, 501)
    assert line[caret.index("^")] == "Y"
    assert len(line) < 120
    line, caret = snippet(7, "\ta: b", 2)
    assert line[caret.index("^")] == "a"


def on_a_terminal(*tokens: str, environment: dict[str, str]) -> str:
    """Return the output of a command with a terminal as standard error."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flowmesh.suite", *tokens],
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env={**os.environ, **environment},
    )
    os.close(follower)
    written = b""
    try:
        while chunk := os.read(leader, 4096):
            written += chunk
    except OSError:  # the other side is closed
        pass
    os.close(leader)
    process.wait(60)
    return written.decode()


def test_a_terminal_shows_the_line(folder: Path) -> None:
    """With a caret, in color unless NO_COLOR is set."""
    (folder / "order.yaml").write_text(DEFINITION.replace("dependsOn: [pay]", "dependsOn: [pey]"))
    tokens = ("lint", "-f", "order.yaml", "--ignore", "LINT_TIMEOUT")
    plain = on_a_terminal(*tokens, environment={"NO_COLOR": "1", "TERM": "xterm"})
    assert "\x1b[" not in plain
    message, line, caret, *_ = plain.splitlines()
    assert message.startswith("error: order.yaml:15:45: documents[1].tasks[1].dependsOn[0]")
    assert line.endswith(
        '- {id: gift, taskRef: noop, dependsOn: [pey], condition: "input.total > 100"}'
    )
    assert line[caret.index("^") :].startswith("pey")
    coloured = on_a_terminal(*tokens, environment={"NO_COLOR": "", "TERM": "xterm"})
    assert "\x1b[31;1merror\x1b[0m" in coloured


async def test_a_bundled_definition_is_printed_as_a_file(flowmesh: Run) -> None:
    """Its lines are lines, so that the output can be applied."""
    item = next(iter(items()))
    assert (await flowmesh("library", "show", item.name)).out.rstrip() == item.text.rstrip()
