"""Rows as messages."""

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet.storage.records import AgentRow, SpecRow


def spec_message(row: SpecRow) -> pb.AgentSpecState:
    content = pb.AgentSpec()
    content.CopyFrom(row.content)
    content.replicas = row.replicas
    return pb.AgentSpecState(
        spec=content,
        version=row.version,
        stable_version=row.stable_version,
        wanted=row.wanted,
        ready=row.ready,
        problem=row.problem,
        created_at_us=row.created_at_us,
        changed_at_us=row.changed_at_us,
        owner=row.owner,
    )


def agent_message(row: AgentRow) -> pb.Agent:
    return pb.Agent(
        agent_id=row.id,
        spec=row.spec,
        version=row.version,
        state=row.state,
        reason=row.reason,
        last_words=row.last_words,
        exit_code=row.exit_code,
        pid=row.pid,
        node=row.node,
        cpu=row.cpu,
        memory_bytes=row.memory_bytes,
        slots=row.slots,
        busy=row.busy,
        isolation=row.isolation,
        enforcement=row.enforcement,
        created_at_us=row.created_at_us,
        ready_at_us=row.ready_at_us,
        ended_at_us=row.ended_at_us,
    )
