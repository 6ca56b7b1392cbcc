"""The expression language: `{{ }}` templates for data, conditions for decisions.

Everything here is compiled and checked at registration, bounded and free of side effects, so any
service may evaluate it inline. It runs no user code: expressions that need a sandbox are detected
here and run by flowmesh.sandbox.

Names are imported at first use, because the SDK needs only durations and references.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from flowmesh.expressions.moments import MOMENT, Moment, instant
    from flowmesh.expressions.references import Reference
    from flowmesh.expressions.templates import Template, compile_template
    from flowmesh.expressions.texts import TextTemplate, compile_text
else:
    HOMES = {
        "Call": "calls",
        "Condition": "conditions",
        "Expression": "calls",
        "ExpressionInvalid": "errors",
        "FUNCTIONS": "functions",
        "Literal": "calls",
        "MOMENT": "moments",
        "Moment": "moments",
        "Problem": "errors",
        "Reference": "references",
        "RenderError": "errors",
        "Template": "templates",
        "TemplateInvalid": "errors",
        "TextTemplate": "texts",
        "ValueMissing": "errors",
        "compile_condition": "conditions",
        "compile_go_template": "go_templates",
        "compile_template": "templates",
        "compile_text": "texts",
        "instant": "moments",
        "references_in": "calls",
        "result_schema": "functions",
        "schema_of": "calls",
    }

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


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
    "instant",
    "references_in",
    "result_schema",
    "schema_of",
]
