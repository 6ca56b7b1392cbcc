"""The functions of templates: pure functions over JSON values with signatures and limits."""

from flowmesh.expressions.functions.catalog import FUNCTIONS, GROUPS, result_schema
from flowmesh.expressions.functions.signatures import Function, Unfit

__all__ = ["FUNCTIONS", "GROUPS", "Function", "Unfit", "result_schema"]
