"""Commands: what they send, what they print, and their exit codes."""

import io
from pathlib import Path

import orjson
import pytest
import yaml

from flowmesh import errors
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.definitions.reading.yaml_text import read_yaml
from tests.unit.cli.conftest import Run
from tests.unit.sdk.client.test_events import ALL
from tests.unit.sdk.stand_ins import FAILED, StandIn, execution, failure, payload

TASK = {"kind": "WorkflowTask", "metadata": {"name": "fetch"}}
FLOW = {"kind": "Workflow", "metadata": {"name": "order"}}


async def test_a_start_prints_the_id_alone(flowmesh: Run, server: StandIn) -> None:
    """Scripts read it."""
    outcome = await flowmesh("start", "order", "--input", '{"n": 1}')
    assert (outcome.code, outcome.out) == (0, "exec-1\n")
    assert server.executions.starts[0].input == payload({"n": 1})


async def test_an_input_is_read_from_argument_file_or_stdin(
    flowmesh: Run, server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`@file` is read as JSON, `-` is standard input, and -1 is a number."""
    file = tmp_path / "input.json"
    file.write_text('{"n": 2}')
    monkeypatch.setattr("sys.stdin", io.StringIO("[3]"))
    for text in (f"@{file}", "-", "-1"):
        assert (await flowmesh("start", "order", "--input", text)).code == 0
    inputs = [start.input for start in server.executions.starts]
    assert inputs == [payload({"n": 2}), payload([3]), payload(-1)]


async def test_waiting_prints_the_output(flowmesh: Run) -> None:
    """With --json as one document."""
    outcome = await flowmesh("start", "order", "--input", "7", "--wait", "--json")
    assert outcome.code == 0
    assert outcome.json["status"] == "completed"
    assert outcome.json["output"] == 7


async def test_a_failed_execution_is_exit_code_one(flowmesh: Run, server: StandIn) -> None:
    """The failure is printed."""
    server.executions.put(
        execution("once", FAILED, failure=failure("ClientError", "402", "charge"))
    )
    server.executions.by_request_id["r"] = "once"
    outcome = await flowmesh("start", "order", "--wait", "--request-id", "r")
    assert outcome.code == 1
    assert "ClientError in charge: 402" in outcome.out


async def test_an_error_is_one_line_with_a_hint(flowmesh: Run) -> None:
    """It contains the reason and a remedy."""
    outcome = await flowmesh("get", "execution", "exec-9")
    assert outcome.code == 1
    assert outcome.err == (
        "flowmesh: no execution 'exec-9' [EXECUTION_NOT_FOUND]"
        " (`flowmesh list executions` shows what is there)\n"
    )


async def test_an_error_is_json_too(flowmesh: Run) -> None:
    """It has the form of REST errors."""
    for tokens, code, reason in (
        (("get", "execution", "exec-9"), 404, "EXECUTION_NOT_FOUND"),
        (("list", "tasks", "--address", "127.0.0.1:9"), 503, "SERVICE_UNAVAILABLE"),
        (("apply", "-f", "nowhere.yaml"), 400, "REQUEST_INVALID"),
    ):
        outcome = await flowmesh(*tokens, "--json")
        assert (outcome.json["error"]["code"], outcome.json["error"]["reason"]) == (code, reason)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (("strat",), "did you mean `flowmesh start`?"),
        (("start",), "WORKFLOW"),
        (("start", "order", "--input", "{a"), "not JSON"),
        (("start", "order", "--input", "@nowhere"), "no file nowhere"),
        (("list", "executions", "--status", "odd"), "Choose from"),
        (("apply", "-f", "nowhere.yaml"), "no file nowhere.yaml"),
        (("get", "execution", "exec-1", "--version", "7"), "Unknown option: --version"),
        (("list", "executions", "--since", "soon"), "into a time such as 2026-01-31T12:00:00Z"),
        (("list", "executions", "--limit", "many"), "into a whole number"),
    ],
)
async def test_wrong_usage_is_exit_code_two(
    flowmesh: Run, tokens: tuple[str, ...], text: str
) -> None:
    """One line describes the mistake."""
    outcome = await flowmesh(*tokens)
    assert outcome.code == 2
    assert text in outcome.err
    assert outcome.err.count("\n") == 1


async def test_no_response_is_exit_code_three(flowmesh: Run) -> None:
    """The hint is the command that starts a suite."""
    outcome = await flowmesh("list", "workflows", "--address", "127.0.0.1:9")
    assert outcome.code == 3
    assert "flowmesh dev" in outcome.err


async def test_apply_accepts_a_folder(flowmesh: Run, server: StandIn, tmp_path: Path) -> None:
    """All its definitions are one source, so that all or none are registered."""
    (tmp_path / "a.json").write_bytes(orjson.dumps(TASK))
    (tmp_path / "b.json").write_bytes(orjson.dumps(FLOW))
    (tmp_path / "notes.txt").write_text("not one of them")
    outcome = await flowmesh("apply", "-f", str(tmp_path))
    assert outcome.code == 0
    assert outcome.out == "WorkflowTask fetch: version 1\nWorkflow order: version 1\n"
    assert len(server.definitions.sources) == 1


async def test_apply_reads_standard_input(
    flowmesh: Run, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-f -` reads a pipe."""
    monkeypatch.setattr("sys.stdin", io.StringIO(orjson.dumps(FLOW).decode()))
    assert (await flowmesh("apply", "-f", "-")).code == 0
    assert orjson.loads(server.definitions.sources[0]) == FLOW


async def test_json_and_yaml_files_can_be_combined(
    flowmesh: Run, server: StandIn, tmp_path: Path
) -> None:
    """Several files become a YAML stream, which may contain JSON; one file is unchanged."""
    (tmp_path / "a.json").write_bytes(orjson.dumps(TASK))
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(FLOW))
    (tmp_path / "c.json").write_bytes(orjson.dumps(TASK, option=orjson.OPT_INDENT_2))
    assert (await flowmesh("apply", "-f", str(tmp_path))).code == 0
    assert (await flowmesh("apply", "-f", str(tmp_path / "a.json"))).code == 0
    several, one = server.definitions.sources
    assert read_yaml(several.decode()) == [TASK, FLOW, TASK]
    assert one == orjson.dumps(TASK)


async def test_problems_name_their_file(flowmesh: Run, server: StandIn, tmp_path: Path) -> None:
    """Lines of the joined source are mapped to lines of the file."""
    (tmp_path / "a.yaml").write_text("one: 1\ntwo: 2\n")
    (tmp_path / "b.yaml").write_text("three: 3\n")
    server.definitions.problems = [
        definition_pb2.Problem(
            code="GRAPH_CYCLE",
            severity=definition_pb2.SEVERITY_ERROR,
            message="Circular dependency: a → b → a",
            path="spec.tasks[0]",
            line=5,
            column=1,
        )
    ]
    outcome = await flowmesh("validate", "--remote", "-f", str(tmp_path))
    assert outcome.code == 1
    assert outcome.out == "invalid\n"
    assert outcome.err == (
        f"error: {tmp_path}/b.yaml:1:1: spec.tasks[0]:"
        " Circular dependency: a → b → a [GRAPH_CYCLE]\n"
    )


async def test_a_refused_definition_lists_every_problem(
    flowmesh: Run, server: StandIn, tmp_path: Path
) -> None:
    """Each problem is one line with position and code."""
    file = tmp_path / "a.yaml"
    file.write_text("{}")
    server.definitions.errors = [
        errors.Invalid(
            "WORKFLOW_INVALID",
            "2 problems",
            violations=(
                errors.Violation("spec.tasks", "missing", "DEFINITION_INVALID", 1, 1),
                errors.Violation("kind", "missing", "DEFINITION_INVALID"),
            ),
        )
    ]
    outcome = await flowmesh("apply", "-f", str(file))
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        f"error: {file}:1:1: spec.tasks: missing [DEFINITION_INVALID]",
        f"error: {file}: kind: missing [DEFINITION_INVALID]",
        "flowmesh: nothing is registered [WORKFLOW_INVALID]",
    ]


async def test_lists_are_columns_or_json(flowmesh: Run, server: StandIn) -> None:
    """Filters and the limit apply to both."""
    for number in range(3):
        server.executions.put(execution(f"exec-{number}"))
    server.executions.put(execution("bad", FAILED))
    text = await flowmesh("list", "executions", "--status", "completed", "--limit", "2")
    lines = text.out.splitlines()
    assert lines[0].split() == ["ID", "WORKFLOW", "STATUS", "STARTED", "DURATION"]
    assert [line.split()[0] for line in lines[1:]] == ["exec-0", "exec-1"]
    found = await flowmesh("list", "executions", "--status", "failed", "--json")
    assert [shown["executionId"] for shown in found.json] == ["bad"]


async def test_a_workflow_is_shown_as_registered(flowmesh: Run, server: StandIn) -> None:
    """YAML by default, JSON on request."""
    server.definitions.workflows["order"] = definition_pb2.Workflow(
        workflow_id="order", version=3, format="steps", definition=b'{"id":"order","steps":[]}'
    )
    text = await flowmesh("get", "workflow", "order")
    assert "id: order\nsteps: []" in text.out
    found = await flowmesh("get", "workflow", "order", "--json")
    assert found.json["definition"] == {"id": "order", "steps": []}
    listed = await flowmesh("list", "workflows", "--json")
    assert [shown["version"] for shown in listed.json] == [3]


async def test_commands_on_an_execution_are_sent(flowmesh: Run, server: StandIn) -> None:
    """Signal, cancel and terminate print their effect."""
    server.executions.put(execution())
    signal = await flowmesh("signal", "exec-1", "paid", "--payload", '{"by": "card"}')
    assert signal.out == "exec-1: paid is event 7\n"
    assert (await flowmesh("cancel", "exec-1", "--reason", "late")).out == "exec-1: canceled\n"
    assert (await flowmesh("terminate", "exec-1", "--json")).json["status"] == "terminated"
    assert server.executions.commands[0].payload == payload({"by": "card"})
    assert server.executions.commands[1].reason == "late"


async def test_history_prints_one_line_per_event(flowmesh: Run, server: StandIn) -> None:
    """With sequence, type and node; with --json one document per line."""
    server.histories.events = ALL
    text = await flowmesh("history", "exec-1")
    assert [line.split()[2] for line in text.out.splitlines()][:2] == [
        "WorkflowStarted",
        "TaskScheduled",
    ]
    shown = await flowmesh("history", "exec-1", "--json", "--after", "3")
    assert [orjson.loads(line)["sequence"] for line in shown.out.splitlines()] == [4, 5]


async def test_watching_ends_with_the_execution(flowmesh: Run, server: StandIn) -> None:
    """Without a terminal: one line per event, and the exit code of the end."""
    server.executions.put(
        execution(
            status=execution_pb2.EXECUTION_STATUS_RUNNING,
            nodes=[execution_pb2.Node(id="a", status=execution_pb2.NODE_STATUS_PENDING)],
        )
    )
    server.events.streams = [ALL, ALL[:-1], ALL[-1:]]
    outcome = await flowmesh("watch", "exec-1")
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 5


async def test_services_are_listed(flowmesh: Run) -> None:
    """As `services` and as `list services`."""
    for tokens in (("services",), ("list", "services")):
        outcome = await flowmesh(*tokens, "--json")
        assert outcome.json[0]["name"] == "orchestrator"


@pytest.mark.parametrize(
    "command",
    [
        ("start", "order", "--version", "9" * 20),
        ("get", "workflow", "order", "--version", "9" * 20),
        ("state-at", "exec-1", "9" * 20),
        ("state-at", "exec-1", "9999-12-31T23:59:59-23:00"),
        ("apply", "-f", "x" * 300),
    ],
)
async def test_a_number_out_of_range_is_rejected_in_one_line(
    flowmesh: Run, command: tuple[str, ...]
) -> None:
    """A number, a time, a file name: no traceback, and the exit code of wrong usage."""
    outcome = await flowmesh(*command)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
