"""The parts of an application after reading: one form for every dialect."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flowmesh.apps.catalog import Descriptor, descriptor_of
from flowmesh.apps.document.findings import Findings, SourceFile, SourcePath
from flowmesh.contract.json_value import Json
from flowmesh.contract.plugin_functions import PREFIX, plugin_of


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A module; `config` has canonical keys, converted values and defaults."""

    name: str
    type: str
    config: Mapping[str, Json]
    depends_on: tuple[str, ...]
    branches: Mapping[str, str]
    at: SourcePath

    @property
    def descriptor(self) -> Descriptor:
        found = descriptor_of(self.type)
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A step of a pipeline."""

    name: str
    type: str
    config: Mapping[str, Json]
    at: SourcePath
    condition: str = ""
    skip: str = ""
    on_error: str = ""
    timeout_s: float = 0.0
    retry: Mapping[str, Json] = field(default_factory=dict)
    # In a flow of modules: the steps that lead to this one, and those of which it is a branch.
    after: tuple[str, ...] = ()
    branch_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A pipeline: named, or inside a route."""

    name: str
    steps: tuple[StepSpec, ...]
    at: SourcePath
    trigger: Mapping[str, Json] = field(default_factory=dict)
    on_error: str = "stop"
    timeout_s: float = 0.0
    compensation: tuple[StepSpec, ...] = ()
    durable: bool = False
    # A request waits so long for the answer of a durable run.
    wait_s: float = 10.0
    transaction: bool = False
    output: Json = None
    strict: bool = False
    detach: bool = False


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """Modules `step.*` and those that they lead to, as a pipeline behind the module `entry`.

    `roots` are names in expressions that stand for the whole data where the data has no such
    field: `order.total` of a request whose body is the order.
    """

    entry: str
    pipeline: PipelineSpec
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """A route; exactly one of handler, pipeline, answer and start is set."""

    method: str
    path: str
    at: SourcePath
    router: str = ""
    server: str = ""
    handler: str = ""
    middlewares: tuple[str, ...] = ()
    pipeline: PipelineSpec | None = None
    answer: Mapping[str, Json] | None = None
    start: "TriggerSpec | None" = None


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """A trigger: an event of a kind starts an action of a workflow."""

    kind: str
    config: Mapping[str, Json]
    workflow: str
    action: str
    at: SourcePath


@dataclass(frozen=True, slots=True)
class WorkflowSpec:
    """A workflow of a kind other than HTTP, in the form of its kind."""

    kind: str
    config: Mapping[str, Json]
    at: SourcePath


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """A link between applications: events of the source start an action of the target.

    With `forward` the target gets the event itself, on a broker of its own where no action of
    the name is there.
    """

    source: str
    target: str
    pattern: str
    action: str
    forward: bool
    at: SourcePath

    def __str__(self) -> str:
        return f"{self.source} → {self.target} ({self.pattern})"


@dataclass(frozen=True, slots=True)
class AppDocument:
    """An application as written, expanded and in one form; `findings` grow in later checks."""

    name: str
    description: str
    files: tuple[SourceFile, ...]
    modules: tuple[ModuleSpec, ...]
    routes: tuple[RouteSpec, ...]
    workflows: tuple[WorkflowSpec, ...]
    triggers: tuple[TriggerSpec, ...]
    pipelines: tuple[PipelineSpec, ...]
    settings: Mapping[str, Json]
    findings: Findings
    # Values that came out of modules secrets.*; never shown.
    secrets: tuple[str, ...] = ()
    flows: tuple[FlowSpec, ...] = ()
    links: tuple[LinkSpec, ...] = ()
    # Its values are within the bounds of a host of many tenants.
    confined: bool = False

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from."""
        return self.files[0].folder

    def module(self, name: str) -> ModuleSpec | None:
        return next((each for each in self.modules if each.name == name), None)

    def all_pipelines(self) -> Iterator[PipelineSpec]:
        """Yield the named pipelines, those of routes, and the flows of modules."""
        yield from self.pipelines
        for flow in self.flows:
            yield flow.pipeline
        for route in self.routes:
            if route.pipeline is not None:
                yield route.pipeline


def plugins_in(document: AppDocument) -> list[str]:
    """Return the plugins whose module types an application has."""
    types = {each.type for each in document.modules}
    return sorted(plugin_of(each) for each in types if each.startswith(PREFIX))
