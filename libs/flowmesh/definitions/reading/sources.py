"""One source text as the resources in it: the front door of every use of a definition.

Reading finds what a document alone can tell; `flowmesh.definitions.checks` finds the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowmesh.definitions.canonical import digest_of_document
from flowmesh.definitions.formats.load import Resource, load
from flowmesh.definitions.model import Task, Workflow, WorkflowTemplate
from flowmesh.definitions.problems import Problem, Problems
from flowmesh.definitions.reading.documents import Source, parse
from flowmesh.definitions.reading.yaml_text import Unreadable

_KINDS: dict[type[Resource], str] = {
    Workflow: "Workflow",
    Task: "WorkflowTask",
    WorkflowTemplate: "WorkflowTemplate",
}
Resolve = Callable[[str], Task | None]


@dataclass(frozen=True, slots=True)
class Read:
    """One resource with the document it came from."""

    resource: Resource
    document: Any
    number: int

    @property
    def name(self) -> str:
        return self.resource.id if isinstance(self.resource, Workflow) else self.resource.name

    @property
    def kind(self) -> str:
        return _KINDS[type(self.resource)]

    @property
    def digest(self) -> str:
        dialect = self.resource.dialect
        return digest_of_document(self.document, dialect)


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything a source holds, and what is wrong with its documents one by one.

    `source` is None where the text could not be read at all.
    """

    source: Source | None
    resources: tuple[Read, ...]
    problems: tuple[Problem, ...]

    @property
    def task_refs(self) -> frozenset[str]:
        """Names of the tasks that its workflows refer to."""
        workflows = (r.resource for r in self.resources if isinstance(r.resource, Workflow))
        return frozenset().union(*(workflow.task_refs for workflow in workflows))

    def with_own_tasks(self, resolve: Resolve) -> Resolve:
        """Looks tasks up in this source first: what is applied together belongs together."""
        own = {r.name: r.resource for r in self.resources if isinstance(r.resource, Task)}
        return lambda name: own.get(name) or resolve(name)


def read_source(source: bytes, content_type: str = "") -> Reading:
    """Reads a source. Never raises for what is wrong with it; that is in `problems`."""
    try:
        parsed = parse(source, content_type)
    except Unreadable as error:
        return Reading(None, (), (error.problem,))
    resources: list[Read] = []
    found: list[Problem] = []
    for number, document in enumerate(parsed.documents):
        problems = Problems(number)
        resource = load(document, problems)
        if resource is not None:
            resources.append(Read(resource, document, number))
        found += problems.found
    return Reading(parsed, tuple(resources), parsed.place(found))


def load_workflow(document: Any) -> Workflow:
    """The model of a document that was checked before; raises ValueError if it was not."""
    resource = load(document, Problems(checked=True))
    if not isinstance(resource, Workflow):
        raise ValueError("the document is no workflow")
    return resource


def load_template(document: Any) -> WorkflowTemplate:
    """The model of a template's document that was checked before; raises ValueError if not."""
    resource = load(document, Problems())
    if not isinstance(resource, WorkflowTemplate):
        raise ValueError("the document is no template")
    return resource


def load_task(document: Any) -> Task:
    """The model of a task's document that was checked before; raises ValueError if it was not."""
    resource = load(document, Problems(checked=True))
    if not isinstance(resource, Task):
        raise ValueError("the document is no task")
    return resource
