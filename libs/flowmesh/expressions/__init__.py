"""The expression language: `{{ }}` templates for data, conditions for decisions.

Everything here is compiled and checked at registration, bounded and free of side effects, so any
service may evaluate it inline. It runs no user code: what needs a sandbox is told apart here and
run by flowmesh.sandbox.
"""

from flowmesh.expressions.calls import Call, Expression, Literal, references_in, schema_of
from flowmesh.expressions.conditions import Condition, compile_condition
from flowmesh.expressions.errors import (
    ExpressionInvalid,
    Problem,
    RenderError,
    TemplateInvalid,
    ValueMissing,
)
from flowmesh.expressions.functions import FUNCTIONS, result_schema
from flowmesh.expressions.go_templates import compile_go_template
from flowmesh.expressions.moments import MOMENT, Moment
from flowmesh.expressions.references import Reference
from flowmesh.expressions.templates import Template, compile_template
from flowmesh.expressions.texts import TextTemplate, compile_text

__all__ = [
    "FUNCTIONS",
    "MOMENT",
    "Call",
    "Condition",
    "Expression",
    "ExpressionInvalid",
    "Literal",
    "Moment",
    "Problem",
    "Reference",
    "RenderError",
    "Template",
    "TemplateInvalid",
    "TextTemplate",
    "ValueMissing",
    "compile_condition",
    "compile_go_template",
    "compile_template",
    "compile_text",
    "references_in",
    "result_schema",
    "schema_of",
]
