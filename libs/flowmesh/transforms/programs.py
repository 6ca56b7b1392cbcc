"""Programs inside a pipeline: jq and JMESPath, evaluated in the sandbox."""

import re

from flowmesh.contract.json_value import Json
from flowmesh.sandbox.errors import SandboxFailure
from flowmesh.transforms.errors import VALIDATION, TransformError
from flowmesh.transforms.operation import Example, Flow, Operation, Parameter, Parameters, Prepared
from flowmesh.transforms.run import Request, Run

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
# Failures of stopped programs keep their class; other failures are about the data.
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
            raise ValueError(f"{name[:64]!r} is not a valid name in jq")

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
        "Runs a jq program on the value, with limits of 5 s and 4 MiB of output.",
        (
            Parameter("program", "program", "The program, in jq 1.8.", required=True),
            Parameter("variables", "object", "Variables of the program, as `$name`."),
            Parameter(
                "output",
                "string",
                "The single output (null without one), or an array of all.",
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
        "Evaluates a JMESPath expression, with the limits of jq.",
        (Parameter("program", "program", "The expression.", required=True),),
        Example(_ROWS, {"program": "[?ok].id"}, [1]),
        _jmespath,
        language="jmespath",
    ),
)
