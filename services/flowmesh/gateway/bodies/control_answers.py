"""Responses of the routes that control nodes and rerun executions."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from flowmesh.gateway.bodies.answers import Answer, ApprovalValue, Instant
from flowmesh.records import Source


class Steered(Answer, kw_only=True):
    """The action is in the history, up to event `sequence`."""

    execution_id: str
    sequence: int


class Decided(Answer, kw_only=True):
    """The decision is in the history, up to event `sequence`."""

    execution_id: str
    sequence: int
    outcome: (
        Annotated[
            Literal["approved", "rejected"],
            Meta(description="Absent while further decisions are pending."),
        ]
        | UnsetType
    ) = UNSET


class ApprovalLink(Answer, kw_only=True):
    """A link. Every holder of the URL can decide as `by`, once and until it expires."""

    url: str
    by: str
    expires_at: Instant


class LinkKeyValue(Answer, kw_only=True):
    """A signing key of links; without `goodUntil` it is the newest."""

    id: int
    created_at: Instant
    actor: str
    reason: str
    good_until: (
        Annotated[Instant, Meta(description="From this time its links are invalid.")] | UnsetType
    ) = UNSET


class LinkKeyRotated(Answer, kw_only=True):
    """The new key, and the number of revoked older keys."""

    key: LinkKeyValue
    revoked: int


class LinkKeyList(Answer, kw_only=True):
    """Keys, newest first."""

    keys: list[LinkKeyValue]


class PendingApproval(Answer, kw_only=True):
    """A task with a pending approval."""

    execution_id: str
    workflow: Annotated[str, Source("workflow_id")]
    task: Annotated[str, Source("node")]
    name: str
    asked_at: Instant
    approval: ApprovalValue


class ApprovalList(Answer, kw_only=True):
    """Pending approvals, oldest first."""

    approvals: list[PendingApproval]
    next_page_token: str


class RerunNode(Answer, kw_only=True):
    """The treatment of a node in a rerun."""

    node: str
    type: Annotated[str, Source("task_type")] | UnsetType = UNSET
    reused: Annotated[bool, Meta(description="True if its result is reused; otherwise it runs.")]
    reason: str
    repeats_effect: Annotated[
        bool, Meta(description="True if it completed before and its side effects are repeated.")
    ]


class Rerun(Answer, kw_only=True):
    """The plan of a rerun, and the new execution if one was started."""

    execution_id: str | UnsetType = UNSET
    rerun_of: str
    version: int
    nodes: list[RerunNode]
    repeated_effects: int
