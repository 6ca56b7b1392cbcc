"""Dry runs of a stored workflow, or of a source that is not stored."""

import asyncio

from flowmesh.access.principal import current
from flowmesh.access.roles import REVEAL
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definition import limits
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.dryrun import report, results
from flowmesh.dryrun.masking import masked_report
from flowmesh.dryrun.run import dry_run
from flowmesh.dryrun.source import stand_ins
from flowmesh.dryrun.suite_runs import run_suite
from flowmesh.dryrun.suites import read_tests
from flowmesh.errors import Timeout, TooLarge
from flowmesh.jsontext import parse_json
from flowmesh.rpc import namespace_of, valid_id
from flowmesh.sandbox import Sandbox, on_behalf_of
from flowmesh.sandbox.turns import Turns


class DryRuns:
    """Runs a few dry runs at a time, shared by namespaces; further ones wait for their turn."""

    def __init__(self, *, catalog: DefinitionCatalog, sandbox: Sandbox) -> None:
        self._catalog = catalog
        self._sandbox = sandbox
        self._turns = Turns(limits.DRY_RUNS_MAX)

    async def run(self, request: pb.DryRunWorkflowRequest) -> bytes:
        """Return the report as JSON; that of its tests if the request has some."""
        namespace = namespace_of(request)
        try:
            async with asyncio.timeout(limits.DRY_RUN_S), self._turns.turn(namespace):
                plan = await self._plan(request)
                with on_behalf_of(namespace):
                    data = await self._report(request, plan)
        except TimeoutError:
            message = f"the dry run takes longer than {limits.DRY_RUN_S:.0f} s"
            raise Timeout("DEADLINE_EXCEEDED", message) from None
        if len(data) > limits.REPORT_BYTES_MAX:
            message = f"the report has {len(data)} bytes; at most {limits.REPORT_BYTES_MAX}"
            raise TooLarge("PAYLOAD_TOO_LARGE", message)
        return data

    async def _report(self, request: pb.DryRunWorkflowRequest, plan: plan_pb2.Plan) -> bytes:
        if request.tests:
            return results.encode(await self._tested(request.tests, plan))
        given = _json(request.input, "input")
        mocks, signals = _json(request.mocks, "mocks"), _json(request.signals, "signals")
        found, after = stand_ins(mocks, signals, plan)
        done = await dry_run(plan, given, sandbox=self._sandbox, mocks=found, signals=after)
        caller = current()
        if caller is not None and not caller.bits(namespace_of(request)) & REVEAL:
            done = await asyncio.to_thread(masked_report, done, plan, given)
        return report.encode(done)

    async def _tested(self, tests: bytes, plan: plan_pb2.Plan) -> results.TestResults:
        suite = await asyncio.to_thread(read_tests, tests, plan)
        return await run_suite(suite, self._sandbox)

    async def _plan(self, request: pb.DryRunWorkflowRequest) -> plan_pb2.Plan:
        namespace = namespace_of(request)
        if request.source:
            return await self._catalog.plan_of(
                namespace, request.source, request.content_type, request.workflow_id
            )
        workflow_id = valid_id(request.workflow_id, "workflow_id")
        return await self._catalog.plan(
            namespace, workflow_id, request.version, request.version_label
        )


def _json(data: bytes, field: str) -> Json:
    return parse_json(data, field) if data else None
