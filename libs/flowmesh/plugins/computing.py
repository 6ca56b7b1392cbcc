"""Calls of functions of plugins in a process that can only compute."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flowmesh.contract.json_value import Json
from flowmesh.plugins import limits
from flowmesh.sandbox import Sandbox
from flowmesh.sandbox.python import Limits, run_python

# Imports the modules of the wheel from memory: the process has no files.
_CODE: Final = """
import sys

class Modules:
    def find_spec(self, name, path=None, target=None):
        base = name.replace(".", "/")
        for file, is_package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if file in modules:
                spec = type(sys.__spec__)
                return spec(name, self, origin=file, is_package=is_package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        file = module.__spec__.origin
        exec(compile(modules[file], file, "exec"), module.__dict__)

sys.meta_path.insert(0, Modules())
place, _, name = handler.partition(":")
module = __import__(place, fromlist=[name])
return getattr(module, name)(*values)
"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function as `module:function`, and the modules of its wheel by path."""

    handler: str
    modules: Mapping[str, str]


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
        "values": list(values),
    }
    outcome = await run_python(
        sandbox, _CODE, variables, Limits(), min(timeout_ms, limits.COMPUTE_TIMEOUT_MS)
    )
    return outcome.value
