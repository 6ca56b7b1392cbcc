"""Approvals of executions, and the links by which people decide them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flowmesh.sdk.executions import StoredValue
from flowmesh.sdk.payloads import Json

Decisions = Literal["any", "approve", "reject"]


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A pending approval. Empty `assignees` mean that any person may decide."""

    execution_id: str
    workflow_id: str
    node: str
    name: str
    asked_at: datetime | None
    assignees: tuple[str, ...]
    needed: int
    due_at: datetime | None
    details: Json | StoredValue


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """A URL that lets its holder decide once, until it expires.

    Every gateway serves its path; its host is a setting of the suite.
    """

    url: str
    token: str
    expires_at: datetime
