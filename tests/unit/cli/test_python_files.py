"""Definitions in Python files: what they define, and what is wrong with them."""

import sys
from pathlib import Path

import pytest

from flowmesh.definitions.reading.yaml_text import read_yaml
from tests.unit.cli.conftest import Run
from tests.unit.definitions.factories import documents, node, task, workflow

FLOW = """\
from flowmesh.sdk import Workflow, WorkflowTask, workflow

echo = WorkflowTask("echo", {"type": "echo"}, labels={"team": "shop"})


@workflow("order", brings=[echo])
def order(flow: Workflow) -> object:
    return {"said": flow.use("say", "echo").output}
"""


def write(folder: Path, text: str, name: str = "order.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


async def test_a_file_and_its_conversion_are_equal(flowmesh: Run, tmp_path: Path) -> None:
    """YAML to Python and back has no difference, in one file and in several."""
    source = documents(task("t", timeout="5s"), workflow(node("a", "t"), node("b", "t")))
    given = write(tmp_path, source.decode(), "w.yaml")
    out = str(tmp_path / "w.py")
    assert (await flowmesh("convert", "-f", given, "-t", "python", "-o", out)).code == 0
    back = await flowmesh("convert", "-f", out, "-t", "yaml")
    assert read_yaml(back.out) == read_yaml(source.decode())
    outcome = await flowmesh("diff", given, out)
    assert (outcome.code, outcome.out) == (0, "no difference\n")
    other = write(tmp_path, FLOW)
    both = await flowmesh("convert", "-f", out, "-f", other, "-t", "yaml")
    names = [each["metadata"]["name"] for each in read_yaml(both.out)]
    assert names == ["t", "w", "echo", "order"]


async def test_every_command_that_reads_definitions_takes_one(
    flowmesh: Run, tmp_path: Path
) -> None:
    """Without a suite: lint, graph and a dry run."""
    name = write(tmp_path, FLOW)
    assert (await flowmesh("lint", "-f", name)).code == 0
    drawn = await flowmesh("graph", "-f", name, "-o", "mermaid")
    assert "say" in drawn.out
    ran = await flowmesh("dry-run", "-f", name, "--json")
    assert ran.code == 0, ran.err


async def test_it_imports_modules_of_its_folder(flowmesh: Run, tmp_path: Path) -> None:
    """Its folder is removed from the search path, and its output goes to standard error."""
    write(tmp_path, FLOW, "flows_beside.py")
    text = "print('hello')\nfrom flows_beside import order\nagain = order\n"
    before = list(sys.path)
    outcome = await flowmesh("convert", "-f", write(tmp_path, text), "-t", "yaml")
    assert outcome.code == 0, outcome.err
    assert [each["kind"] for each in read_yaml(outcome.out)] == ["WorkflowTask", "Workflow"]
    assert outcome.err == "hello\n"
    assert sys.path == before


async def test_the_main_block_does_not_run(flowmesh: Run, tmp_path: Path) -> None:
    """Code under `__main__` runs with `python order.py` only."""
    text = f"{FLOW}\nif __name__ == '__main__':\n    raise SystemExit('it ran')\n"
    assert (await flowmesh("lint", "-f", write(tmp_path, text))).code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\n", "order.py defines no workflow (it must contain a Workflow or a WorkflowTask"),
        ("def a(:\n", "order.py:1: SyntaxError: "),
        ("a = 1\n\nraise ValueError('no')\n", "order.py:3: ValueError: no (a file of"),
        ("import sys\nsys.exit(3)\n", "order.py:2: SystemExit: 3"),
        ("import nothing_there\n", "order.py:1: ModuleNotFoundError: No module named"),
        (f"{FLOW}order.use('say', 'echo')\n", "workflow order has two tasks 'say'"),
        (
            f"{FLOW}other = WorkflowTask('echo', {{'type': 'else'}})\n",
            "order.py defines the WorkflowTask echo in two ways",
        ),
    ],
)
async def test_errors_have_the_line(flowmesh: Run, tmp_path: Path, text: str, said: str) -> None:
    """In one line, with the exit code of wrong usage."""
    outcome = await flowmesh("lint", "-f", write(tmp_path, text))
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


async def test_a_missing_file_is_named(flowmesh: Run, tmp_path: Path) -> None:
    """So is a folder with the suffix .py."""
    for path in (tmp_path / "gone.py", tmp_path / "folder.py"):
        outcome = await flowmesh("diff", str(path), str(path))
        assert (outcome.code, outcome.err) == (2, f"flowmesh: there is no file {path}\n")


async def test_problems_name_the_file_and_the_place(flowmesh: Run, tmp_path: Path) -> None:
    """Not the line, which is one of the generated resources."""
    name = write(tmp_path, FLOW.replace('"say", "echo"', '"say", "echo", condition="input."'))
    outcome = await flowmesh("lint", "-f", name)
    assert outcome.code == 1
    assert f"error: {name}: " in outcome.err
    assert "tasks[0].condition" in outcome.err


async def test_python_files_of_a_folder_are_not_run(flowmesh: Run, tmp_path: Path) -> None:
    """A Python file must be named."""
    write(tmp_path, "raise SystemExit('it ran')\n")
    outcome = await flowmesh("lint", "-f", str(tmp_path))
    assert (outcome.code, "contains no definition" in outcome.err) == (2, True)
