"""Variables of a workflow: values that can change while an execution runs."""

import re

from flowmesh.definitions import limits
from flowmesh.definitions.canonical import json_bytes
from flowmesh.definitions.model import Variable
from flowmesh.definitions.reading.reader import Reader

# Name as templates and conditions write it after a dot.
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,62}"


def read_variables(reader: Reader) -> tuple[Variable, ...]:
    """Return the member `variables`: `{name: {schema, initial}}`."""
    declared = reader.object("variables")
    if len(declared.value) > limits.VARIABLES_MAX:
        message = f"{len(declared.value)} variables; at most {limits.VARIABLES_MAX}"
        reader.problems.add("DEFINITION_INVALID", message, declared.path)
        return ()
    found = []
    for name in declared.value:
        path = (*declared.path, name)
        if re.fullmatch(NAME, name) is None:
            message = f"{name[:64]!r} must be 1 to 63 letters, digits or _, no digit first"
            reader.problems.add("ID_INVALID", message, path, at_key=True)
            continue
        one = declared.object(name)
        initial = one.raw("initial")
        if len(json_bytes(initial)) > limits.VARIABLE_BYTES_MAX:
            most = limits.VARIABLE_BYTES_MAX >> 10
            message = f"the first value of {name} is larger than {most} KiB"
            reader.problems.add("DEFINITION_INVALID", message, (*path, "initial"))
        found.append(Variable(name, one.raw("schema"), initial, path))
        one.refuse_unknown()
    return tuple(found)
