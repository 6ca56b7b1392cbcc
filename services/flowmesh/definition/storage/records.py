"""What the store gives and takes: versions as rows, and what an Apply did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from flowmesh.definitions import TaskRef


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
    visibility: str


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """A template in one version; one that comes with Flowmesh has the version 0."""

    namespace: str
    name: str
    version: int
    digest: str
    definition: bytes
    labels: dict[str, str]
    created_at: datetime


class Meaning(NamedTuple):
    """What a reference means: a version, and who may refer to the task."""

    version: int
    visibility: str


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """How many workflows there are, how many were made of templates, and of which the most."""

    workflows: int = 0
    made: int = 0
    by_template: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Referred:
    """The same with what the version says."""

    version: int
    visibility: str
    definition: bytes

    @property
    def meaning(self) -> Meaning:
        return Meaning(self.version, self.visibility)


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
    """A mutating call that may be repeated: its id, and a digest of what it asks for.

    The answer of one that does not say the source itself is kept `with_source`.
    """

    id: str
    content: str
    with_source: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change and why, as far as it is said."""

    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PublicNode:
    """A node of graph JSON that others may copy; `node` is JSON."""

    workflow_id: str
    version: int
    node: str


NOBODY = Author()


@dataclass(frozen=True, slots=True, order=True)
class User:
    """A version in use that refers to a task: the newest of its workflow, or one with a label."""

    namespace: str
    workflow_id: str
    version: int
    task: str
    task_version: int
    labelled: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """The same as a list shows it. `task_version` 0 floats."""

    namespace: str
    workflow_id: str
    version: int
    task_version: int
    newest: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanKey:
    """What a plan is made of: a version, and the version that each reference to a task means."""

    namespace: str
    workflow_id: str
    version: int
    tasks: tuple[tuple[TaskRef, int], ...]


@dataclass(frozen=True, slots=True)
class Label:
    """Points to a version; `earlier` are those it pointed to before, the newest first."""

    name: str
    version: int
    earlier: tuple[int, ...]
    moved_by: str
    moved_at: datetime


class Action(IntEnum):
    """What was done; the values are those of ChangeAction."""

    CREATED = 1
    CHANGED = 2
    DELETED = 3
    LABEL_SET = 4
    LABEL_ROLLED_BACK = 5
    LABEL_DELETED = 6


@dataclass(frozen=True, slots=True)
class Done:
    """Something that is done to a definition, as it is written down."""

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
    """The same as it is read again."""

    number: int
    done: Done
    author: Author
    changed_at: datetime


class TasksMoved(Exception):
    """Something changed between the checks and the commit; both are done again."""
