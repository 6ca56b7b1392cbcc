"""Self-tests of plugins that only compute, and the documents that formats read."""

from collections.abc import Mapping

import msgspec

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, Violation
from flowmesh.fleet.plugins.usage import LABELS
from flowmesh.plugins import limits
from flowmesh.plugins.computing import Function, computed
from flowmesh.plugins.manifest import Manifest
from flowmesh.sandbox import Sandbox, SandboxFailure


class Reader:
    """Reads texts with formats, and tests plugins that only compute."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def test(self, manifest: Manifest, modules: Mapping[str, str]) -> None:
        """Run the self-test of a plugin that only computes. Raises PLUGIN_FAILED."""
        if manifest.computes and manifest.self_test:
            title = f"{manifest.name} {manifest.version} failed its self-test"
            await self._called(title, Function(manifest.self_test, modules))

    async def read(self, name: str, reader: Function, text: str) -> str:
        """Return the native documents of a text, as JSON. Raises PLUGIN_FAILED."""
        if len(text.encode()) > limits.TEXT_BYTES_MAX:
            raise _failed("text", f"more than {limits.TEXT_BYTES_MAX >> 20} MiB")
        found = await self._called("the text was not read", reader, text)
        documents = found if isinstance(found, list) else [found]
        if not documents or not all(isinstance(each, dict) for each in documents):
            raise _failed("text", "the reader returned neither a document nor a list of them")
        return msgspec.json.encode([_labelled(each, name) for each in documents]).decode()

    async def _called(self, title: str, function: Function, *values: Json) -> Json:
        try:
            return await computed(self._sandbox, function, *values)
        except SandboxFailure as failure:
            raise _failed(title, str(failure)) from None


def _labelled(document: dict[str, Json], plugin: str) -> dict[str, Json]:
    """Return a document with the label of its format, unless its metadata is none."""
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        return document
    labels = metadata.get("labels", {})
    if not isinstance(labels, dict):
        return document
    return {**document, "metadata": {**metadata, "labels": {**labels, LABELS["format"]: plugin}}}


def _failed(place: str, problem: str) -> Invalid:
    found = Violation("text", problem, "PLUGIN_FAILED")
    return Invalid("PLUGIN_FAILED", f"{place}: {problem}", violations=(found,))
