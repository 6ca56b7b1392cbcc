"""Masks of the sensitive values of a dry run, wherever they stand in its report."""

import msgspec

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.dryrun.report import Report
from flowmesh.plan import Plan, compile_plan
from flowmesh.views.masking import MASK, values_at

# Shorter texts are masked where they are a whole value, and kept inside of others.
INSIDE_CHARACTERS_MIN = 4


def masked_report(report: Report, plan: plan_pb2.Plan, given: Json) -> Report:
    """Return the report without the values of members that the schemas mark as sensitive."""
    hidden = _sensitive_values(report, compile_plan(plan), given)
    if not hidden:
        return report
    return msgspec.convert(_masked(msgspec.to_builtins(report), hidden), Report)


def _sensitive_values(report: Report, plan: Plan, given: Json) -> set[str | int | float]:
    found = list(values_at(given, plan.input_schema.sensitive))
    found += values_at(report.output, plan.output_schema.sensitive)
    for node in report.nodes:
        try:
            planned = plan.at(node.id)
        except KeyError:
            continue  # called by a handler: it has no schema
        found += values_at(node.input, planned.sensitive_input)
        found += values_at(node.output, planned.sensitive)
    return {leaf for each in found for leaf in _leaves(each)}


def _leaves(value: Json) -> list[str | int | float]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [leaf for each in inner for leaf in _leaves(each)]
    return [] if value is None or value == "" or isinstance(value, bool) else [value]


def _masked(value: Json, hidden: set[str | int | float]) -> Json:
    if isinstance(value, dict):
        return {name: _masked(each, hidden) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, hidden) for each in value]
    if value is None or isinstance(value, bool):
        return value
    if value in hidden:
        return MASK
    if isinstance(value, str):
        for each in hidden:
            if isinstance(each, str) and len(each) >= INSIDE_CHARACTERS_MIN:
                value = value.replace(each, MASK)
    return value
