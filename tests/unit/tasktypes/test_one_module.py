"""A new built-in task type is one module."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import flowmesh.tasktypes

SHOUT = """
from flowmesh.tasktypes.record import Effect, InputMode, TaskType


async def _shout(parameters, attempt):
    return {"loud": parameters["text"].upper() + "!" * parameters.get("marks", 1)}


TASK_TYPES = (
    TaskType(
        name="text.shout",
        summary="Text in capitals.",
        effect=Effect.COMPUTES,
        run=_shout,
        parameters={
            "type": "object",
            "required": ["text"],
            "properties": {
                "text": {"type": "string", "description": "the text"},
                "marks": {"type": "integer", "maximum": 3},
            },
        },
        output={"type": "object", "properties": {"loud": {"type": "string"}}},
        native="text.shout",
        block="shout",
        action="read",
        input_mode=InputMode.RENDERED,
    ),
)
"""
TASK = """apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: loud}
spec: {type: text.shout, shout: %s}
"""
WORKFLOW = """apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: w}
spec:
  tasks: [{id: a, taskRef: loud, input: {name: ada}}]
  output: "{{tasks.a.output.loud}}"
"""
STEPS = {
    "id": "s",
    "steps": [{"id": "a", "action": "text.shout", "params": {"text": "{{context.x}}"}}],
}
USE = """
import asyncio, json, sys
from flowmesh.definitions import compile_source, errors_in, read_source
from flowmesh.definitions.editor.native import task_schema
from flowmesh.definitions.editor.steps import steps_schema
from flowmesh.dryrun.run import dry_run
from flowmesh.dryrun.source import stand_ins
from flowmesh.errors import Invalid
from flowmesh.executors.builtin import RESERVED_TASK_TYPES
from flowmesh.sandbox import Sandbox
from tools.pages import executors


async def run(source, given):
    plan = compile_source(source.encode())
    async with Sandbox() as sandbox:
        mocks, signals = stand_ins(None, None, plan)
        return await dry_run(plan, given, sandbox=sandbox, mocks=mocks, signals=signals)


task, workflow, steps = json.load(sys.stdin)
native = asyncio.run(run(task % "{text: '{{input.name}}', marks: 2}" + "---\\n" + workflow, {}))
by_action = asyncio.run(run(json.dumps(steps), {"x": "hi"}))
blocks = ("{}", "{text: 1}", "{text: a, marks: 9}", "{text: a, volume: 1}")
readings = [read_source((task % block).encode(), "application/yaml") for block in blocks]
try:
    compile_source((task % "{text: '{{nope.x}}'}" + "---\\n" + workflow).encode())
except Invalid as error:
    template = error.reason
print(json.dumps({
    "template": template,
    "native": native.output,
    "steps": by_action.output,
    "calls": len(native.calls) + len(by_action.calls),
    "wrong": [errors_in(each.problems)[0].place for each in readings],
    "reserved": "text.shout" in RESERVED_TASK_TYPES,
    "edited": "shout" in task_schema()["$defs"] and "text.shout" in steps_schema()["$defs"],
    "documented": "Text in capitals." in executors.page(),
}))
"""


def test_a_module_adds_a_type_everywhere(tmp_path: Path) -> None:
    """It is read, checked, planned, run, offered to editors and documented."""
    package = tmp_path / "flowmesh" / "tasktypes"
    shutil.copytree(Path(flowmesh.tasktypes.__file__).parent, package)
    (package / "builtin" / "shout.py").write_text(SHOUT)
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", USE],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{root}", "FLOWMESH_CORE": "pure"},
        input=json.dumps([TASK, WORKFLOW, STEPS]),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout, ran.stderr
    assert json.loads(ran.stdout) == {
        "native": "ADA!!",
        "steps": {"loud": "HI!"},
        "calls": 0,
        "wrong": ["shout.text", "shout.text", "shout.marks", "shout.volume"],
        "template": "TEMPLATE_UNKNOWN_REFERENCE",
        "reserved": True,
        "edited": True,
        "documented": True,
    }
