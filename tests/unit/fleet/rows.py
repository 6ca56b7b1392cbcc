"""Specs and agents as the tables of the fleet have them."""

from typing import Any

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet.storage.records import AgentRow, SpecRow

NAMESPACE = "labs"


def spec_row(*, owner: str = "", maker: str = "", **content: Any) -> SpecRow:
    """Return a spec of one version."""
    known = {"spec": "packers", "command": ["python", "pack.py"], **content}
    return SpecRow(
        namespace=NAMESPACE,
        spec="packers",
        version=1,
        content=pb.AgentSpec(**known),
        stable_version=1,
        replicas=1,
        wanted=1,
        ready=0,
        problem="",
        deleted=False,
        maker=maker,
        owner=owner,
        has_policy=False,
        created_at_us=1,
        changed_at_us=1,
    )


def agent_row(agent_id: str = "agent-1", **members: Any) -> AgentRow:
    """Return an agent that is to be started."""
    known: dict[str, Any] = {"version": 1, "state": pb.AGENT_STATE_PENDING, "created_at_us": 1}
    return AgentRow(
        id=agent_id, namespace=NAMESPACE, spec="packers", enforcement={}, **(known | members)
    )
