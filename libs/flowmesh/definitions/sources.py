"""The resources of one source text: the entrance for every use of a definition.

Reading finds the problems of single documents; `flowmesh.definitions.checks` finds the rest.
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
    """One resource with its document."""

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
    """The resources of a source, and the problems of its documents.

    `source` is None if the text could not be read at all.
    """

    source: Source | None
    resources: tuple[Read, ...]
    problems: tuple[Problem, ...]

    @property
    def task_refs(self) -> frozenset[str]:
        """Return the names of the tasks that its workflows refer to."""
        workflows = (r.resource for r in self.resources if isinstance(r.resource, Workflow))
        return frozenset().union(*(workflow.task_refs for workflow in workflows))

    def with_own_tasks(self, resolve: Resolve) -> Resolve:
        """Return a resolver that searches this source first: resources applied together belong
        together.
        """
        own = {r.name: r.resource for r in self.resources if isinstance(r.resource, Task)}
        return lambda name: own.get(name) or resolve(name)


def read_source(source: bytes, content_type: str = "") -> Reading:
    """Read a source. Never raises; problems are in the result."""
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
    """Return the model of a checked document. Raises ValueError if it is no workflow."""
    resource = load(document, Problems(checked=True))
    if not isinstance(resource, Workflow):
        raise ValueError("the document is no workflow")
    return resource


def load_template(document: Any) -> WorkflowTemplate:
    """Return the model of a template's checked document. Raises ValueError if it is no template."""
    resource = load(document, Problems())
    if not isinstance(resource, WorkflowTemplate):
        raise ValueError("the document is no template")
    return resource


def load_task(document: Any) -> Task:
    """Return the model of a task's checked document. Raises ValueError if it is no task."""
    resource = load(document, Problems(checked=True))
    if not isinstance(resource, Task):
        raise ValueError("the document is no task")
    return resource
