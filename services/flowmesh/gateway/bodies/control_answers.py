"""Answers of the routes that steer nodes and run executions again."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from flowmesh.gateway.bodies.answers import Answer, ApprovalValue, Instant


class Steered(Answer, kw_only=True):
    """What was asked is in the history up to event `sequence`."""

    execution_id: str
    sequence: int


class Decided(Answer, kw_only=True):
    """The decision is in the history up to event `sequence`."""

    execution_id: str
    sequence: int
    outcome: (
        Annotated[
            Literal["approved", "rejected"], Meta(description="Unset while others are waited for.")
        ]
        | UnsetType
    ) = UNSET


class ApprovalLink(Answer, kw_only=True):
    """Whoever has the URL decides as `by`, until they have or it expires."""

    url: str
    by: str
    expires_at: Instant


class LinkKeyValue(Answer, kw_only=True):
    """A key that links are signed with; without `goodUntil` it is the newest."""

    id: int
    created_at: Instant
    actor: str
    reason: str
    good_until: (
        Annotated[Instant, Meta(description="No link of it is good from then on.")] | UnsetType
    ) = UNSET


class LinkKeyRotated(Answer, kw_only=True):
    """The new key, and how many older ones were revoked."""

    key: LinkKeyValue
    revoked: int


class LinkKeyList(Answer, kw_only=True):
    """The newest first."""

    keys: list[LinkKeyValue]


class PendingApproval(Answer, kw_only=True):
    """A task that waits for people."""

    execution_id: str
    workflow: str
    task: str
    name: str
    asked_at: Instant
    approval: ApprovalValue


class ApprovalList(Answer, kw_only=True):
    """The oldest first."""

    approvals: list[PendingApproval]
    next_page_token: str


class RerunNode(Answer, kw_only=True):
    """What becomes of a node in a rerun."""

    node: str
    type: str | UnsetType = UNSET
    reused: Annotated[bool, Meta(description="Its result is taken over; else it runs.")]
    reason: str
    repeats_effect: Annotated[
        bool, Meta(description="It completed before, and does again what it did to others.")
    ]


class Rerun(Answer, kw_only=True):
    """What runs again and what is taken over, and the execution that does where it was started."""

    execution_id: str | UnsetType = UNSET
    rerun_of: str
    version: int
    nodes: list[RerunNode]
    repeated_effects: int
