"""Arguments and words that the commands on agents share."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceStub
from flowmesh.cli import exit_codes
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

SpecName = Annotated[str, Parameter(help="Name of the spec.")]
AgentId = Annotated[str, Parameter(help="Id of the agent.")]
OfSpec = Annotated[str, Parameter(help="Only those of this spec.")]


def stub_of(client: "Client") -> Any:
    return FleetServiceStub(client.caller.channel)


def state_of(agent: agent_pb2.Agent) -> str:
    return agent_pb2.AgentState.Name(agent.state).removeprefix("AGENT_STATE_").lower()


def strategy_of(policy: agent_pb2.ScalingPolicy) -> str:
    name = agent_pb2.ScalingStrategy.Name(policy.strategy)
    return name.removeprefix("SCALING_STRATEGY_").lower()


def put_number(message: Any, field: str, option: str, value: float, factor: int = 1) -> None:
    """Set a field to a number of this option. Raises Refused for a number that it cannot hold."""
    if value < 0:
        raise Refused(f"{option} is 0 or more, not {value:g}", code=exit_codes.USAGE)
    try:
        setattr(message, field, value * factor)
    except ValueError:
        raise Refused(f"{option} {value:g} is too large", code=exit_codes.USAGE) from None
