"""`flowmesh cells move` takes the settings of a project."""

import pytest

from flowmesh.api.definition.v1.template_service_pb2 import ListTemplatesRequest
from flowmesh.api.definition.v1.template_service_pb2_grpc import TemplateServiceStub
from flowmesh.api.execution.v1 import limits_service_pb2 as limits_pb
from flowmesh.api.execution.v1 import retention_service_pb2 as retention_pb
from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceStub
from flowmesh.api.execution.v1.retention_service_pb2_grpc import RetentionServiceStub
from flowmesh.api.observe.v1 import observe_service_pb2 as observe_pb
from flowmesh.api.observe.v1.observe_service_pb2_grpc import ObserveServiceStub
from flowmesh.sdk import Client
from tests.features.cells.test_moving import (
    define,
    workflow,
)
from tests.features.cells.three import Cells, finished

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

MESSAGES = 300
TEMPLATE = """
apiVersion: workflow.io/v1
kind: WorkflowTemplate
metadata: {name: pair}
spec:
  parameters: {}
  resources:
    - apiVersion: workflow.io/v1
      kind: WorkflowTask
      metadata: {name: "${{ name }}"}
      spec: {type: noop}
"""


async def test_settings_move(cells: Cells) -> None:
    """A limit, a stop, a retention, an objective and a template are at the target."""
    await cells.pin("tuned", 0)
    await define(cells, "tuned", workflow(1))
    async with Client(cells.suites[0].grpc_address, namespace="tuned") as client:
        await client.apply(TEMPLATE)
    channel = cells.suites[0].channel
    limit = limits_pb.Limit(
        namespace="tuned", kind=limits_pb.LIMIT_KIND_WORKFLOW, subject="wait", concurrency=3
    )
    stub = LimitServiceStub(channel)
    await stub.SetLimit(limits_pb.SetLimitRequest(limit=limit, reason="few"))
    await stub.StopDispatch(
        limits_pb.StopDispatchRequest(namespace="tuned", workflow_id="wait", reason="later")
    )
    await RetentionServiceStub(channel).SetRetention(
        retention_pb.SetRetentionRequest(namespace="tuned", retention_ms=3_600_000)
    )
    await ObserveServiceStub(channel).SetSlo(
        observe_pb.SetSloRequest(namespace="tuned", workflow_id="wait", target=99.0)
    )
    code, _, errors = await finished(cells, "move", "tuned", "--to", "us1")
    assert code == 0, errors
    channel = cells.suites[1].channel
    found = await LimitServiceStub(channel).ListLimits(
        limits_pb.ListLimitsRequest(namespace="tuned")
    )
    assert [(each.subject, each.concurrency) for each in found.limits] == [("wait", 3)]
    assert [(each.workflow_id, each.reason) for each in found.stops] == [("wait", "later")]
    retention = await RetentionServiceStub(channel).GetRetention(
        retention_pb.GetRetentionRequest(namespace="tuned")
    )
    assert (retention.own, retention.retention_ms) == (True, 3_600_000)
    slos = await ObserveServiceStub(channel).ListSlos(observe_pb.ListSlosRequest(namespace="tuned"))
    assert [(each.workflow_id, each.target) for each in slos.slos] == [("wait", 99.0)]
    templates = await TemplateServiceStub(channel).ListTemplates(
        ListTemplatesRequest(namespace="tuned", page_size=1_000)
    )
    assert "pair" in {each.name for each in templates.templates if each.version}
