"""Routes about agents, specs, policies, decisions and quotas."""

from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body
from flowmesh.gateway.http.parameters import FLAG, Query
from flowmesh.gateway.routes.agents import bodies
from flowmesh.gateway.routes.rpc_route import rpc_route

_AGENTS = "/api/v1/agents"
_AGENT = f"{_AGENTS}/{{agentId}}"
_SPECS = "/api/v1/agent-specs"
_SPEC = f"{_SPECS}/{{spec}}"
_POLICIES = "/api/v1/scaling-policies"
_POLICY = f"{_POLICIES}/{{policy}}"
_QUOTA = "/api/v1/agent-quota"
_OF_SPEC = Query("spec", "Only those of this spec.")
_TAKE_OVER = Query("takeOver", "Take it from the system that manages it, such as a cluster.", FLAG)
_STATE = (Answer(200, "Its state.", bodies.AgentValue),)
ROUTES = (
    rpc_route(
        "GET",
        _AGENTS,
        pb.ListAgentsRequest,
        tag=MANAGE,
        summary="List the agents of the namespace",
        query=(_OF_SPEC, Query("ended", "The last 100 that have ended too.", FLAG)),
        answers=(Answer(200, "Those that run, the newest first.", bodies.AgentList),),
    ),
    rpc_route(
        "POST",
        _AGENTS,
        pb.SpawnAgentsRequest,
        tag=MANAGE,
        summary="Start further agents of a spec",
        body=Body(bodies.SpawnBody, example={"spec": "packers", "count": 2}),
        answers=(Answer(202, "They start.", bodies.AgentList),),
        errors=(404, 409, 429),
    ),
    rpc_route(
        "GET",
        _AGENT,
        pb.GetAgentRequest,
        part="agent",
        tag=MANAGE,
        summary="Get an agent",
        answers=_STATE,
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{_AGENT}:stop",
        pb.StopAgentRequest,
        part="agent",
        tag=MANAGE,
        summary="Stop an agent after its tasks",
        description="Its spec has one agent less, unless a policy decides the count.",
        answers=_STATE,
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{_AGENT}:restart",
        pb.RestartAgentRequest,
        part="agent",
        tag=MANAGE,
        summary="Replace an agent after its tasks",
        answers=_STATE,
        errors=(404,),
    ),
    rpc_route(
        "GET",
        _SPECS,
        pb.ListAgentSpecsRequest,
        tag=MANAGE,
        summary="List the specs of agents",
        answers=(Answer(200, "Sorted by name.", bodies.SpecList),),
    ),
    rpc_route(
        "PUT",
        _SPEC,
        pb.ApplyAgentSpecRequest,
        into="spec",
        names={"spec": "spec.spec"},
        part="spec",
        tag=MANAGE,
        summary="Store a spec of agents",
        description="Agents of the version before are replaced one by one; a version whose agents"
        " do not become ready goes back by itself.",
        query=(_TAKE_OVER,),
        body=Body(
            bodies.SpecBody,
            example={"command": ["python", "worker.py"], "queues": ["packing"], "replicas": 2},
        ),
        answers=(
            Answer(201, "It is new, or has a new version.", bodies.SpecValue),
            Answer(200, "Its content is that of before.", bodies.SpecValue),
        ),
        errors=(409, 429),
    ),
    rpc_route(
        "GET",
        _SPEC,
        pb.GetAgentSpecRequest,
        part="spec",
        tag=MANAGE,
        summary="Get a spec of agents",
        answers=(Answer(200, "With its wanted and ready agents.", bodies.SpecValue),),
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{_SPEC}:scale",
        pb.ScaleAgentsRequest,
        part="spec",
        tag=MANAGE,
        summary="Set the number of agents of a spec",
        body=Body(bodies.ScaleBody, example={"replicas": 3}),
        answers=(Answer(200, "Agents start or drain.", bodies.SpecValue),),
        errors=(404, 409, 429),
    ),
    rpc_route(
        "DELETE",
        _SPEC,
        pb.DeleteAgentSpecRequest,
        tag=MANAGE,
        summary="Delete a spec of agents",
        query=(Query("stopAgents", "Drain its agents first.", FLAG),),
        answers=(Answer(204, "It is deleted, or will be once its agents have ended."),),
        errors=(404, 409),
    ),
    rpc_route(
        "GET",
        _POLICIES,
        pb.ListScalingPoliciesRequest,
        tag=MANAGE,
        summary="List the scaling policies",
        answers=(Answer(200, "Sorted by name.", bodies.PolicyList),),
    ),
    rpc_route(
        "PUT",
        _POLICY,
        pb.ApplyScalingPolicyRequest,
        into="policy",
        names={"policy": "policy.policy"},
        part="policy",
        tag=MANAGE,
        summary="Store a scaling policy",
        query=(_TAKE_OVER,),
        body=Body(
            bodies.PolicyBody,
            example={"spec": "packers", "strategy": "workload_based", "min": 1, "max": 10},
        ),
        answers=(Answer(200, "With its defaults.", bodies.ScalingPolicyValue),),
        errors=(404, 409),
    ),
    rpc_route(
        "DELETE",
        _POLICY,
        pb.DeleteScalingPolicyRequest,
        tag=MANAGE,
        summary="Delete a scaling policy",
        answers=(Answer(204, "The spec keeps its count of agents."),),
        errors=(404, 409),
    ),
    rpc_route(
        "GET",
        "/api/v1/scaling-decisions",
        pb.ListScalingDecisionsRequest,
        tag=MANAGE,
        summary="List the decisions of scaling policies",
        query=(_OF_SPEC,),
        answers=(Answer(200, "The last 200, the newest first.", bodies.DecisionList),),
    ),
    rpc_route(
        "GET",
        "/api/v1/agent-findings",
        pb.DiagnoseAgentsRequest,
        tag=MANAGE,
        summary="Explain why there are fewer agents than tasks need",
        query=(_OF_SPEC,),
        answers=(Answer(200, "One cause for each spec that has one.", bodies.AgentFindings),),
    ),
    rpc_route(
        "GET",
        _QUOTA,
        pb.GetAgentQuotaRequest,
        tag=MANAGE,
        summary="Get the quota of agents of the namespace",
        answers=(Answer(200, "With what is used.", bodies.QuotaAnswer),),
    ),
    rpc_route(
        "PUT",
        _QUOTA,
        pb.SetAgentQuotaRequest,
        into="quota",
        part="quota",
        tag=MANAGE,
        summary="Set the quota of agents of the namespace",
        body=Body(bodies.QuotaBody, required=False, example={"agents": 20}),
        answers=(Answer(200, "It holds at once.", bodies.AgentBounds),),
    ),
)
