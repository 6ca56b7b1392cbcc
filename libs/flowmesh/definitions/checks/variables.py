"""Checks of variables: a valid schema, and an initial value that fits it."""

from flowmesh.definitions.canonical import schema_bytes
from flowmesh.definitions.model import Workflow
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.schema_checks import check_schema
from flowmesh.plan.schemas import Schema


def check_variables(workflow: Workflow, problems: Problems) -> None:
    for each in workflow.variables:
        if each.schema is None or not check_schema(each.schema, (*each.path, "schema"), problems):
            continue
        found = Schema(schema_bytes(each.schema)).problems(each.initial)
        if found:
            message = f"the first value of {each.name} does not fit its schema: {found[0].message}"
            problems.add("DEFINITION_INVALID", message, (*each.path, "initial"))
