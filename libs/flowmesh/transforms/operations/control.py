"""Operations that have pipelines inside: one for each member of a result, one of two."""

from flowmesh.contract.json_value import Json
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.operation import Example, Flow, Operation, Parameter, Parameters, Prepared
from flowmesh.transforms.operations.conditions import CONDITION, compile_condition
from flowmesh.transforms.run import Pipeline, Run


def _object(parameters: Parameters) -> Prepared:
    members: dict[str, Pipeline] = parameters["members"]

    def flow(value: Json, run: Run) -> Flow:
        result: dict[str, Json] = {}
        for name, pipeline in members.items():
            try:
                result[name] = yield from pipeline.flow(value, run)
            except TransformError as error:
                raise error.at(name) from error
        return result

    return Prepared(flow=flow, grows=True)


def _when(parameters: Parameters) -> Prepared:
    test, then, otherwise = compile_condition(parameters), parameters["then"], parameters["else"]

    def flow(value: Json, run: Run) -> Flow:
        chosen: Pipeline | None = then if test(value) else otherwise
        return value if chosen is None else (yield from chosen.flow(value, run))

    return Prepared(flow=flow)


OPERATIONS = (
    Operation(
        "object",
        "control",
        "Makes an object whose members are what pipelines make of the value.",
        (Parameter("members", "pipelines", "A pipeline for each member.", required=True),),
        Example(
            [3, 1, 2],
            {
                "members": {
                    "top": [{"operation": "sort", "order": "desc"}, {"operation": "first"}],
                    "total": [{"operation": "aggregate", "function": "sum"}],
                }
            },
            {"top": 3, "total": 6},
        ),
        _object,
    ),
    Operation(
        "when",
        "control",
        "Runs one pipeline where a comparison with the value holds, another one where not.",
        (
            *CONDITION,
            Parameter("then", "pipeline", "What runs where it holds.", required=True),
            Parameter("else", "pipeline", "What runs where not; the value stays without it."),
        ),
        Example(
            {"kind": "list", "items": [1, 2]},
            {
                "field": "kind",
                "value": "list",
                "then": [{"operation": "select", "field": "items"}],
            },
            [1, 2],
        ),
        _when,
    ),
)
