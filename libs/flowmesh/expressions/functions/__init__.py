"""What templates can call: pure functions over JSON values, each with its signature and bounds."""

from flowmesh.expressions.functions.catalogue import FUNCTIONS, GROUPS, result_schema
from flowmesh.expressions.functions.signatures import Function, Unfit

__all__ = ["FUNCTIONS", "GROUPS", "Function", "Unfit", "result_schema"]
