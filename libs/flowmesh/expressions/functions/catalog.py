"""All functions of the template language, by name and by category."""

from flowmesh.contract.json_value import Json
from flowmesh.expressions.functions import data, dates, encoding, logic, numbers, strings
from flowmesh.expressions.functions.signatures import RESULTS, Function

GROUPS: dict[str, tuple[Function, ...]] = {
    "Choosing and comparing": logic.FUNCTIONS,
    "Text": strings.FUNCTIONS,
    "Numbers": numbers.FUNCTIONS,
    "Dates": dates.FUNCTIONS,
    "Arrays, objects and JSON": data.FUNCTIONS,
    "Encoding and hashing": encoding.FUNCTIONS,
}

FUNCTIONS: dict[str, Function] = {
    function.name: function for group in GROUPS.values() for function in group
}


def result_schema(name: str) -> Json:
    """Return the JSON Schema of a result, `{}` for any value. Raises KeyError."""
    return RESULTS[FUNCTIONS[name].result]
