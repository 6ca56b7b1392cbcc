"""The expression language: `{{ }}` templates for data, conditions for decisions.

Everything here is compiled and checked at registration, bounded and free of side effects, so any
service may evaluate it inline. It runs no user code: what needs a sandbox is told apart here and
run by flowmesh.sandbox.
"""

from flowmesh.expressions.conditions import Condition, compile_condition
from flowmesh.expressions.errors import ExpressionInvalid, Problem, RenderError, TemplateInvalid
from flowmesh.expressions.references import Reference
from flowmesh.expressions.templates import Template, compile_template
from flowmesh.expressions.texts import TextTemplate, compile_text

__all__ = [
    "Condition",
    "ExpressionInvalid",
    "Problem",
    "Reference",
    "RenderError",
    "Template",
    "TemplateInvalid",
    "TextTemplate",
    "compile_condition",
    "compile_template",
    "compile_text",
]
