"""Texts of strangers reach a terminal as text: no control of it, no forged line."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from flowmesh import cli
from flowmesh.access import Role
from flowmesh.cli import output
from tests.features.apps import eventually
from tests.features.closed import Closed
from tests.features.commands import Outcome, command
from tests.hostile.conftest import Company

# A title, a cleared screen, a forged line, a C1 introducer, a line separator, a turned direction.
TEXT = "a\x1b]0;pwned\x07\x1b[2J\r\nFAKE-LINE\x9b1m\u2028FAKE-LINE\u202ex\x7f"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# Standard output as bytes is a file of the user that a command downloads.
BYTES = {"access/files.py", "operations/mcp.py"}


def writes(tree: ast.AST) -> list[int]:
    """Return the lines that write to standard output or error, or print."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            text = ast.unparse(node.func)
            if text == "print" or re.fullmatch(r"sys\.std(out|err)(\.buffer)?\.write", text):
                found.append(node.lineno)
    return found


def test_commands_write_through_one_module() -> None:
    """Every write of the command is one of `output`, where texts are made visible."""
    folder = Path(next(iter(cli.__path__)))
    files = sorted(folder.rglob("*.py"))
    found = {
        f"{file.relative_to(folder)}:{line}"
        for file in files
        for line in writes(ast.parse(file.read_text()))
    }
    others = {each for each in found if each.partition(":")[0] not in {"output.py", *BYTES}}
    assert len(files) > 80
    assert others == set()


WRITERS: dict[str, Callable[[], Any]] = {
    "line": lambda: output.line(TEXT),
    "block": lambda: output.block(TEXT.replace("\n", "")),
    "problem": lambda: output.problem(TEXT),
    "warning": lambda: output.warning(TEXT),
    "progress": lambda: output.progress(TEXT),
    "result": lambda: output.result({}, TEXT),
    "columns": lambda: output.columns(("A", "B"), [(TEXT, "b"), ("c", TEXT)]),
    "source": lambda: output.source(TEXT, TEXT.replace("\n", "")),
    "table": lambda: output.table([TEXT], str, "A", none="", A=str),
    "paragraph": lambda: output.paragraph(TEXT),
    "document": lambda: output.document({TEXT: [TEXT]}),
    "stream_document": lambda: output.stream_document({TEXT: [TEXT]}),
    "listing": lambda: output.listing([TEXT], str, output.line, none=""),
    "json_lines": lambda: output.json_lines(json.dumps(TEXT, ensure_ascii=False).encode()),
}
# These write no text of others.
OWN = {"nothing", "colored_problem", "styled"}


def test_every_function_that_writes_is_tried() -> None:
    """The table of writers has each public function of the module that returns nothing."""
    source = ast.parse(Path(str(output.__file__)).read_text())
    functions = [each for each in source.body if isinstance(each, ast.FunctionDef)]
    quiet = {each.name for each in functions if ast.unparse(each.returns or each) != "None"}
    assert {each.name for each in functions} - quiet - OWN == set(WRITERS)


@pytest.mark.parametrize("name", WRITERS)
def test_no_control_is_written(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each writer escapes all controls, and no line begins with what a stranger wrote."""
    WRITERS[name]()
    written = "".join(capsys.readouterr())
    if name == "progress":
        written = written.strip("\r")
    assert "FAKE-LINE" in written
    assert CONTROL.findall(written) == []
    assert not re.search("^FAKE-LINE", written, re.MULTILINE)


@pytest.mark.parametrize("format", ["json", "yaml"])
def test_documents_keep_their_values(
    format: output.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escaped as the format escapes, so that a reader has the same text."""
    with output.styled(format):
        output.document({"text": TEXT})
    written = capsys.readouterr().out
    assert CONTROL.findall(written) == []
    assert (json.loads if format == "json" else yaml.safe_load)(written) == {"text": TEXT}


SAY = {
    "apiVersion": "workflow.io/v1",
    "kind": "WorkflowTask",
    "metadata": {"name": "say"},
    "spec": {"type": "log", "log": {"message": "{{input.text}}"}, "description": TEXT},
}
SPOKEN = {
    "apiVersion": "workflow.io/v1",
    "kind": "Workflow",
    "metadata": {"name": "spoken"},
    "spec": {
        "description": TEXT,
        "tasks": [{"id": "say", "taskRef": "say", "input": {"text": "{{input.text}}"}}],
        "output": "{{input}}",
    },
}
APP = """
name: echo
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: routes, type: http.router}
workflows:
  http:
    routes:
    - method: GET
      path: /echo
      pipeline:
        steps:
        - {name: note, type: step.log, config: {message: "{{ .request.query.v }}"}}
        - {name: answer, type: step.json_response, config: {body: {}}}
"""


async def run(closed: Closed, company: Company, *tokens: str) -> Outcome:
    environment = {
        "FLOWMESH_API_KEY": company.caller(Role.VIEWER).credential,
        "FLOWMESH_NAMESPACE": company.namespace,
    }
    return await command(closed.suite, *tokens, environment=environment)


@pytest.mark.long
@pytest.mark.feature("S1-114")
async def test_the_log_of_an_application_shows_text(
    installation: Closed, attacker: Company
) -> None:
    """What a visitor sent is one line for each record; as JSON it is what was sent."""
    status, body = await attacker.deploy("echo", APP)
    assert status == 201, body
    url = f"http://{await attacker.address('echo')}/echo"
    async with aiohttp.ClientSession() as session:
        await session.get(url, params={"v": TEXT})

    async def logged() -> Any:
        found = (await run(installation, attacker, "app", "logs", "echo", "--json")).json
        return [each for each in found if TEXT in each["message"]]

    assert await eventually(logged)
    shown = await run(installation, attacker, "app", "logs", "echo")
    assert CONTROL.findall(shown.out + shown.err) == []
    (line,) = (each for each in shown.lines if "FAKE-LINE" in each)
    assert r"\x1b]0;pwned\x07\x1b[2J\r\nFAKE-LINE\x9b1m" in line
    await attacker.delete("echo")


@pytest.mark.long
async def test_definitions_and_executions_show_text(
    installation: Closed, attacker: Company
) -> None:
    """Names, descriptions, inputs, logs and errors in tables, documents and views."""
    for resource in (SAY, SPOKEN):
        status, body = await attacker.rest("POST", "/api/v1/workflows", resource)
        assert status == 201, body
    status, body = await attacker.rest(
        "POST",
        "/api/v1/workflows/spoken/execute",
        {"input": {"text": TEXT}, "labels": {"by": "a\x1b[2J"}},
    )
    assert status < 300, body
    execution = body["executionId"]
    for tokens in (
        ("list", "workflows"),
        ("get", "workflow", "spoken"),
        ("list", "executions", "-o", "wide"),
        ("get", "execution", execution),
        ("get", "execution", execution, "-o", "json"),
        ("get", "execution", execution, "-o", "yaml"),
        ("history", execution),
        ("logs", execution),
        ("trace", execution),
        ("get", "workflow", "a\x1b[2Jb"),
    ):
        shown = await run(installation, attacker, *tokens)
        assert CONTROL.findall(shown.out + shown.err) == [], tokens
        assert not re.search("^FAKE-LINE", shown.out + shown.err, re.MULTILINE), tokens
