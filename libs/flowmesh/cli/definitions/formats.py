"""`convert` and `graph`: definitions in other formats, and as drawings. No suite is needed."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, Files, WorkflowId
from flowmesh.cli.common import Reach, guarded, run
from flowmesh.cli.definitions.sources import PYTHON, SUFFIXES, read_source
from flowmesh.cli.refusals import Refused
from flowmesh.definitions.formats.table import FORMATS

if TYPE_CHECKING:
    from flowmesh.definitions import Workflow
    from flowmesh.sdk import Client

REACH = Reach()
# The choices of `--to` are those of the table of formats.
if TYPE_CHECKING:
    Target = str
else:
    Target = Literal[("yaml", "json", *FORMATS)]
To = Annotated[
    Target,
    Parameter(name=["--to", "-t"], help="Format, or yaml or json to change only the syntax."),
]
Out = Annotated[str, Parameter(name=["--out"], help="File to write; standard output without it.")]
Kind = Annotated[
    Literal["svg", "mermaid", "dot", "json"], Parameter(name=["--output", "-o"], help="Drawing.")
]


def convert(
    *,
    file: Files,
    to: To,
    out: Annotated[str, Parameter(name=["--out", "-o"], help="File to write.")] = "",
    common: Reach = REACH,
) -> int:
    """Write definitions in another format, all of what they say or not at all.

    What has no place in the format is refused by name. A name that ends in .json or .yaml says
    how the file is written; otherwise native resources are YAML, the other formats JSON. Python
    is code for the SDK that builds the same, in a file that ends in .py.
    """

    def work() -> int:
        suffix = Path(out).suffix
        is_python = to in FORMATS and FORMATS[to].syntax == "python"
        if suffix in (*SUFFIXES, PYTHON) and (suffix == PYTHON) != is_python:
            what = f"{to} is not what a file named {out} holds"
            raise Refused(what, "Python files end in .py, others do not", exit_codes.USAGE)
        from flowmesh.definitions.exports import export_source, write_python, write_yaml

        documents = export_source(read_source(file).text.encode(), "", to if to in FORMATS else "")
        if is_python:
            _write(write_python(documents), out)
            return exit_codes.DONE
        as_yaml = _as_yaml(to, out, documents)
        if not as_yaml and len(documents) > 1:
            what = f"{len(documents)} definitions do not fit into one JSON file"
            raise Refused(what, "give -t yaml, or --out with a name that ends in .yaml")
        _write(write_yaml(documents) if as_yaml else _json(documents[0]), out)
        return exit_codes.DONE

    return guarded(common, work)


def graph(
    name: WorkflowId = "",
    /,
    *,
    file: Files | None = None,
    kind: Kind = "svg",
    out: Out = "",
    version: int = 0,
    execution: ExecutionId = "",
    common: Reach = REACH,
) -> int:
    """Draw a workflow: of a file, one that is registered, or that of an execution.

    Parameters
    ----------
    name
        Id of a registered workflow, in place of a file.
    version
        Which version of it; 0 is the newest.
    execution
        Id of an execution, in place of both: each node is coloured by what became of it.
    """
    if execution and (name or file):
        what = Refused("an execution is drawn by its id alone", code=exit_codes.USAGE)
        return guarded(common, lambda: _raise(what))
    if execution:
        return _draw_execution(common, execution, kind, out)
    if bool(name) == bool(file):
        what = Refused("name a workflow or give a file, one of them", code=exit_codes.USAGE)
        return guarded(common, lambda: _raise(what))
    if file:
        files = file
        return guarded(common, lambda: _draw(_only_workflow(files), kind, out))

    async def work(client: "Client") -> int:
        from flowmesh.definitions import load_workflow

        stored = await client.get_workflow(name, version=version)
        return await asyncio.to_thread(_draw, load_workflow(stored.definition), kind, out)

    return run(common, work)


def _draw_execution(common: Reach, execution: str, kind: Kind, out: str) -> int:
    async def work(client: "Client") -> int:
        from flowmesh.definitions import load_workflow

        found = await client.get_execution(execution)
        stored = await client.get_workflow(found.workflow_id, version=found.workflow_version)
        workflow = load_workflow(stored.definition)
        statuses = {
            node.id: "success" if node.status == "completed" else str(node.status)
            for node in found.nodes
        }
        return await asyncio.to_thread(_draw, workflow, kind, out, statuses)

    return run(common, work)


def _raise(error: Exception) -> int:
    raise error


def _draw(workflow: "Workflow", kind: str, out: str, statuses: dict[str, str] | None = None) -> int:
    from flowmesh.definitions.drawing import draw

    _write(draw(workflow, kind, statuses), out)
    return exit_codes.DONE


def _only_workflow(names: list[Path]) -> "Workflow":
    from flowmesh.definitions import Workflow, check, errors_in, refuse
    from flowmesh.definitions import read_source as read_definitions

    reading = read_definitions(read_source(names).text.encode())
    refuse(reading.problems)
    # Tasks of the library are not at hand, and a drawing needs none; circles cannot be drawn.
    found = check(reading, lambda _name: None)
    refuse([problem for problem in errors_in(found) if problem.code == "GRAPH_CYCLE"])
    workflows = [read.resource for read in reading.resources if isinstance(read.resource, Workflow)]
    if len(workflows) != 1:
        raise Refused(f"one workflow is drawn at once; the files hold {len(workflows)}")
    return workflows[0]


def _as_yaml(to: str, out: str, documents: list[dict[str, Any]]) -> bool:
    suffix = Path(out).suffix if out else ""
    if suffix in (".yaml", ".yml", ".json"):
        return suffix != ".json"
    syntax = FORMATS[to].syntax if to in FORMATS else to
    return syntax == "yaml" or (to != "json" and len(documents) > 1)


def _json(document: dict[str, Any]) -> str:
    import orjson

    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _write(text: str, out: str) -> None:
    if not out:
        output.line(text.rstrip("\n"))
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        what = f"{out} cannot be written: {error.strerror}"
        raise Refused(what, code=exit_codes.USAGE) from None
