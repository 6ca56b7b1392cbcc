"""Approvals of executions, and the links by which people decide them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from flowmesh.contract.json_value import Json
from flowmesh.records import Source
from flowmesh.sdk.values.executions import StoredValue, value_of

Decisions = Literal["any", "approve", "reject"]


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A pending approval. Empty `assignees` mean that any person may decide."""

    execution_id: str
    workflow_id: str
    node: str
    name: str
    asked_at: datetime | None
    assignees: Annotated[tuple[str, ...], Source("approval.")]
    needed: Annotated[int, Source("approval.")]
    due_at: Annotated[datetime | None, Source("approval.due_at_us")]
    details: Annotated[Json | StoredValue, Source("approval.", read=value_of)]


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """A URL that lets its holder decide once, until it expires.

    Every gateway serves its path; its host is a setting of the suite.
    """

    url: str
    token: str
    expires_at: datetime
