"""Records of the store: versions as rows, and the result of an Apply."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from flowmesh.access.owners import NO_OWNER, Owner
from flowmesh.definitions import TaskRef


@dataclass(frozen=True, slots=True)
class WorkflowVersion:
    """A version of a workflow; `definition` is its document as posted, as JSON."""

    namespace: str
    id: str
    version: int
    digest: str
    name: str
    format: str
    definition: bytes
    labels: dict[str, str]
    created_at: datetime


class SourceRecord(NamedTuple):
    """The text that a version was applied from."""

    content_type: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions of a change, checked while its names are locked.

    `workflows_max` is the quota of the namespace, 0 is unlimited. `expected_digest` is that of the
    only workflow, empty if there must be none yet; None expects nothing.
    """

    workflows_max: int = 0
    expected_digest: str | None = None


@dataclass(frozen=True, slots=True)
class TaskVersion:
    """A version of a reusable task."""

    namespace: str
    name: str
    version: int
    digest: str
    type: str
    definition: bytes
    labels: dict[str, str]
    created_at: datetime
    visibility: str


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """A version of a template; a bundled template has the version 0."""

    namespace: str
    name: str
    version: int
    digest: str
    definition: bytes
    labels: dict[str, str]
    created_at: datetime


class ResolvedReference(NamedTuple):
    """The target of a reference: a version, and the visibility of the task."""

    version: int
    visibility: str


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """Counts of all workflows, of those made from templates, and per template."""

    workflows: int = 0
    made: int = 0
    by_template: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReferredTask:
    """A resolved reference with the definition of its version."""

    version: int
    visibility: str
    definition: bytes

    @property
    def resolved(self) -> ResolvedReference:
        return ResolvedReference(self.version, self.visibility)


@dataclass(frozen=True, slots=True)
class Applied:
    """One resource of an Apply; `created` is False if the same content was already stored.

    `granted` is True if its triggers run with the permissions of another principal from now on.
    """

    kind: str
    name: str
    version: int
    digest: str
    created: bool
    granted: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """The id of a repeatable mutating call, and a digest of its content.

    With `with_source`, the stored answer includes the source, which the call itself lacks.
    """

    id: str
    content: str
    with_source: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """The actor, the reason and the owner of a change, as far as the request names them."""

    actor: str = ""
    reason: str = ""
    owner: Owner = NO_OWNER


@dataclass(frozen=True, slots=True)
class PublicNode:
    """A node of graph JSON that other workflows may copy; `node` is JSON."""

    workflow_id: str
    version: int
    node: str


NO_AUTHOR = Author()


@dataclass(frozen=True, slots=True, order=True)
class Dependent:
    """A version in use that refers to a task: the newest of its workflow, or one with a label."""

    namespace: str
    workflow_id: str
    version: int
    task: str
    task_version: int
    labelled: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """A dependent version as a list shows it. `task_version` 0 means the newest."""

    namespace: str
    workflow_id: str
    version: int
    task_version: int
    newest: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanKey:
    """The inputs of a plan: a version, and the version that each task reference resolves to."""

    namespace: str
    workflow_id: str
    version: int
    tasks: tuple[tuple[TaskRef, int], ...]


@dataclass(frozen=True, slots=True)
class Label:
    """A pointer to a version; `earlier` are its previous targets, newest first."""

    name: str
    version: int
    earlier: tuple[int, ...]
    moved_by: str
    moved_at: datetime


class Action(IntEnum):
    """The kind of a change; the values are those of ChangeAction."""

    CREATED = 1
    CHANGED = 2
    DELETED = 3
    LABEL_SET = 4
    LABEL_ROLLED_BACK = 5
    LABEL_DELETED = 6


@dataclass(frozen=True, slots=True)
class ChangeDetails:
    """A change of a definition, without author and time."""

    kind: str
    name: str
    action: Action
    version: int = 0
    previous_version: int = 0
    label: str = ""
    differences: tuple[dict[str, Any], ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A recorded change of a definition."""

    number: int
    details: ChangeDetails
    author: Author
    changed_at: datetime


class ConcurrentChange(Exception):
    """The checked state changed before the commit; check and commit again."""
