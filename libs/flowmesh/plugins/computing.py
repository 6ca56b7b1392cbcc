"""Calls of functions of plugins in a process that can only compute."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flowmesh.contract.json_value import Json
from flowmesh.plugins import limits
from flowmesh.sandbox import Sandbox
from flowmesh.sandbox.modules import IMPORTS
from flowmesh.sandbox.python import Limits, run_python

_CODE: Final = f"{IMPORTS}\nreturn function(*values)\n"


@dataclass(frozen=True, slots=True)
class Function:
    """A function as `module:function`, and the modules of its wheel by path.

    `settings` are the configuration of its plugin, which it gets as its last argument; None of a
    plugin without one.
    """

    handler: str
    modules: Mapping[str, str]
    settings: Json = None


async def computed(
    sandbox: Sandbox,
    function: Function,
    *values: Json,
    timeout_ms: int = limits.COMPUTE_TIMEOUT_MS,
) -> Json:
    """Return the result of a function. Raises SandboxFailure, and Overloaded."""
    variables: dict[str, Json] = {
        "modules": dict(function.modules),
        "handler": function.handler,
        "values": list(values if function.settings is None else (*values, function.settings)),
    }
    outcome = await run_python(
        sandbox, _CODE, variables, Limits(), min(timeout_ms, limits.COMPUTE_TIMEOUT_MS)
    )
    return outcome.value
