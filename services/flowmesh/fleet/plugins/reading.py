"""Formats: their readers run in a process that can only compute."""

from collections.abc import Mapping
from typing import Final

import msgspec

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, Violation
from flowmesh.plugins import limits
from flowmesh.plugins.manifest import Format, Manifest
from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.sandbox.python import Limits as Bounds
from flowmesh.sandbox.python import run_python

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


class Reader:
    """Reads texts with formats, and tests these."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def test(self, manifest: Manifest, modules: Mapping[str, str]) -> None:
        """Run the self-test of a format. Raises PLUGIN_FAILED."""
        if manifest.format and manifest.self_test:
            title = f"{manifest.name} {manifest.version} failed its self-test"
            await self._called(title, manifest.self_test, modules)

    async def read(self, form: Format, modules: Mapping[str, str], text: str) -> str:
        """Return the native documents of a text, as JSON. Raises PLUGIN_FAILED."""
        if len(text.encode()) > limits.TEXT_BYTES_MAX:
            raise _failed("text", f"more than {limits.TEXT_BYTES_MAX >> 20} MiB")
        found = await self._called("the text was not read", form.reader, modules, text)
        documents = found if isinstance(found, list) else [found]
        if not documents or not all(isinstance(each, dict) for each in documents):
            raise _failed("text", "the reader returned neither a document nor a list of them")
        return msgspec.json.encode(documents).decode()

    async def _called(
        self, title: str, handler: str, modules: Mapping[str, str], *values: Json
    ) -> Json:
        variables: dict[str, Json] = {
            "modules": dict(modules),
            "handler": handler,
            "values": list(values),
        }
        try:
            outcome = await run_python(
                self._sandbox, _CODE, variables, Bounds(), limits.READ_TIMEOUT_MS
            )
        except SandboxFailure as failure:
            raise _failed(title, str(failure)) from None
        return outcome.value


def _failed(place: str, problem: str) -> Invalid:
    found = Violation("text", problem, "PLUGIN_FAILED")
    return Invalid("PLUGIN_FAILED", f"{place}: {problem}", violations=(found,))
