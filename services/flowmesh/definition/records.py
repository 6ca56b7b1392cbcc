"""What the store gives and takes: versions as rows, and what an Apply did."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WorkflowVersion:
    """A workflow in one version; `definition` is its document as posted, as JSON."""

    namespace: str
    id: str
    version: int
    digest: str
    name: str
    format: str
    definition: bytes
    labels: dict[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TaskVersion:
    """A task of the library in one version."""

    namespace: str
    name: str
    version: int
    digest: str
    type: str
    definition: bytes
    labels: dict[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """One resource of an Apply; `created` is false where the same content was there already."""

    kind: str
    name: str
    version: int
    digest: str
    created: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A mutating call that may be repeated: its id, and a digest of what it asks for."""

    id: str
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """A workflow and its newest version."""

    workflow_id: str
    version: int


@dataclass(frozen=True, slots=True)
class PublicNode:
    """A node of graph JSON that others may copy; `node` is JSON."""

    workflow_id: str
    version: int
    node: str


@dataclass(frozen=True, slots=True)
class PlanKey:
    """What a plan is made of: a version, and the newest version of each task it refers to."""

    namespace: str
    workflow_id: str
    version: int
    tasks: tuple[tuple[str, int], ...]


class TasksMoved(Exception):
    """A task changed between the checks and the commit; both are done again."""
