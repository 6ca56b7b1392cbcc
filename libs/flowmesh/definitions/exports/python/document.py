"""Native resources as Python code that builds them with `flowmesh.sdk`.

Running the code makes equal documents, so the versions are equal. Members with an option of the
builder are written as that option, others as in a resource.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.python.nodes import Nodes
from flowmesh.definitions.exports.python.text import Call, Code, Names, statement
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.formats.table import FORMATS

_BEGINNING = '"""Workflows in code; `flowmesh apply -f` registers what this file defines."""'
_WORDS = ("Retry", "Workflow", "WorkflowTask", "flow", "workflow")
_OPTIONS = {
    "inputSchema": "input_schema",
    "parallelism": "parallelism",
    "timeout": "timeout",
    "start": "start",
    "variables": "variables",
}


def write_python(documents: Sequence[Document]) -> str:
    """Return a module with a function per workflow, and the tasks that it brings.

    Raises Invalid FEATURE_UNSUPPORTED for a resource of another kind.
    """
    unsupported = UnsupportedFeatures(FORMATS["python"].title)
    for document in documents:
        if document["kind"] not in ("Workflow", "WorkflowTask"):
            unsupported.add(f"a {document['kind']}", document["metadata"]["name"])
    unsupported.raise_if_any()
    tasks = {_name(each): each for each in documents if each["kind"] == "WorkflowTask"}
    names = Names(_WORDS)
    objects = {name: names.new(name) for name in tasks}
    flows = [_Flow(each, tasks, names) for each in documents if each["kind"] == "Workflow"]
    # A task that a flow defines inline needs no object, unless another task refers to it.
    inlined = {name for flow in flows for name in flow.inlined}
    brought = {name for flow in flows for name in flow.brings}
    separate = [name for name in tasks if name in brought or name not in inlined]
    words = {"Workflow", "workflow"} if flows else set()
    words |= {"WorkflowTask"} if separate else set()
    words |= {"Retry"} if any(flow.has_retries for flow in flows) else set()
    text = f"{_BEGINNING}\n\nfrom flowmesh.sdk import {', '.join(sorted(words))}\n"
    for name in separate:
        text += "\n" + statement(f"{objects[name]} = ", _task(tasks[name]))
    return text + "".join(f"\n\n{flow.text(objects)}" for flow in flows)


def _name(document: Document) -> str:
    name: str = document["metadata"]["name"]
    return name


def _task(document: Document) -> Call:
    return Call("WorkflowTask", [_name(document), document["spec"]], _metadata(document))


def _metadata(document: Document) -> dict[str, Any]:
    return {key: value for key, value in document["metadata"].items() if key != "name"}


class _Flow:
    """A workflow as a function."""

    def __init__(self, document: Document, tasks: dict[str, Document], names: Names) -> None:
        self._document = document
        self._function = names.new(_name(document))
        self._nodes = Nodes(_name(document), tasks)
        self._nodes.add(document["spec"]["tasks"])
        self.inlined = self._nodes.inlined
        self.brings = [
            name
            for name in dict.fromkeys(_named(document["spec"]))
            if name in tasks and name not in self.inlined
        ]

    @property
    def has_retries(self) -> bool:
        return self._nodes.has_retries

    def text(self, objects: dict[str, str]) -> str:
        """Return the function and its decorator; `objects` are the names of tasks in the module."""
        spec = dict(self._document["spec"])
        options = _metadata(self._document)
        for key, option in _OPTIONS.items():
            # The builder does not take null as a time.
            if spec.get(key) and (key != "start" or None not in spec[key].values()):
                options[option] = spec.pop(key)
        if self.brings:
            options["brings"] = [Code(objects[name]) for name in self.brings]
        del spec["tasks"]
        output = spec.pop("output") if spec.get("output") is not None else None
        if spec:
            options["also"] = spec
        returns = "None" if output is None else "object"
        text = statement("@", Call("workflow", [_name(self._document)], options))
        text += f"def {self._function}(flow: Workflow) -> {returns}:\n"
        # The return value decides which nodes need a name.
        ending = "" if output is None else statement("return ", self._nodes.output(output), 1)
        return text + "".join(self._nodes.statements()) + ending


def _named(value: Any) -> Iterator[str]:
    """Yield the tasks that a spec refers to without a version."""
    match value:
        case dict():
            for key, item in value.items():
                if key == "taskRef" and isinstance(item, str):
                    yield item
                yield from _named(item)
        case list():
            for item in value:
                yield from _named(item)
