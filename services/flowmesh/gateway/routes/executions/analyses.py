"""The graph of an execution, also if its workflow was deleted."""

from flowmesh.api.definition.v1 import definition_pb2, definition_service_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends


async def analysed(
    backends: Backends, namespace: str, execution: execution_pb2.Execution
) -> definition_service_pb2.AnalyzeWorkflowResponse:
    """Return the analysis of the version that an execution runs.

    Without its workflow the graph is that of the stored nodes; paths are not listed.
    """
    workflow, version = execution.workflow_id, execution.workflow_version
    try:
        return await backends.definitions.AnalyzeWorkflow(
            definition_service_pb2.AnalyzeWorkflowRequest(
                namespace=namespace, workflow_id=workflow, version=version
            )
        )
    except NotFound:
        return definition_service_pb2.AnalyzeWorkflowResponse(
            workflow_id=workflow, version=version, analysis=graph_of(execution)
        )


def graph_of(execution: execution_pb2.Execution) -> definition_pb2.Analysis:
    """Return the graph of the nodes outside of bodies."""
    nodes = {node.id: node for node in execution.nodes if "/" not in node.id}
    edges = {
        node_id: definition_pb2.NodeEdges(
            id=node_id,
            name=node.name,
            dependencies=[each for each in node.dependencies if each in nodes],
        )
        for node_id, node in nodes.items()
    }
    for node_id, edge in edges.items():
        for each in edge.dependencies:
            edges[each].successors.append(node_id)
    return definition_pb2.Analysis(
        roots=[node_id for node_id, edge in edges.items() if not edge.dependencies],
        leaves=[node_id for node_id, edge in edges.items() if not edge.successors],
        nodes=edges.values(),
        paths_capped=True,
    )
