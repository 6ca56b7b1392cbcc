"""Programs inside a pipeline: jq and JMESPath, evaluated in the sandbox."""

import re

from flowmesh.sandbox.errors import SandboxFailure
from flowmesh.transforms.errors import VALIDATION, TransformError
from flowmesh.transforms.operation import (
    Example,
    Flow,
    Json,
    Operation,
    Parameter,
    Parameters,
    Prepared,
)
from flowmesh.transforms.run import Request, Run

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
# What stopped a program keeps its class; what the program itself says is about its data.
_STOPPED = frozenset({"Timeout", "ResourceLimit", "Cancelled"})


def _evaluated(request: Request) -> Flow:
    try:
        return (yield request)
    except SandboxFailure as failure:
        class_ = failure.class_ if failure.class_ in _STOPPED else VALIDATION
        raise TransformError(failure.message, class_=class_) from failure


def _jq(parameters: Parameters) -> Prepared:
    variables = parameters["variables"] or {}
    for name in variables:
        if not _IDENTIFIER.match(name):
            raise ValueError(f"{name[:64]!r} is not a name that jq has")

    def flow(value: Json, _run: Run) -> Flow:
        outputs = yield from _evaluated(Request("jq", parameters["program"], value, variables))
        if parameters["output"] == "all":
            return outputs
        if len(outputs) > 1:
            message = f"the program has {len(outputs)} outputs; put it in [ ], or 'output' to 'all'"
            raise TransformError(message)
        return outputs[0] if outputs else None

    return Prepared(flow=flow)


def _jmespath(parameters: Parameters) -> Prepared:
    def flow(value: Json, _run: Run) -> Flow:
        outputs = yield from _evaluated(Request("jmespath", parameters["program"], value, {}))
        return outputs[0]

    return Prepared(flow=flow)


_ROWS = [{"id": 1, "ok": True}, {"id": 2, "ok": False}]

OPERATIONS = (
    Operation(
        "jq",
        "programs",
        "What a jq program makes of the value; it is stopped after 5 s or at 4 MiB of output.",
        (
            Parameter("program", "program", "The program, in jq 1.8.", required=True),
            Parameter("variables", "object", "Values that the program has as `$name`."),
            Parameter(
                "output",
                "string",
                "The one output, null where there is none, or an array of all.",
                default="one",
                choices=("one", "all"),
            ),
        ),
        Example(_ROWS, {"program": "map(select(.ok) | .id)"}, [1]),
        _jq,
        language="jq",
    ),
    Operation(
        "jmespath",
        "programs",
        "What a JMESPath expression finds in the value; it is stopped as jq is.",
        (Parameter("program", "program", "The expression.", required=True),),
        Example(_ROWS, {"program": "[?ok].id"}, [1]),
        _jmespath,
        language="jmespath",
    ),
)
