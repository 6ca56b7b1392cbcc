"""The audit log of a closed suite: who changed what and when, and the proof that it is whole."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.api.common.v1 import payload_pb2, search_pb2
from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.execution.v1 import bulk_service_pb2, execution_pb2, limits_service_pb2
from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.api.identity.v1 import (
    audit_service_pb2_grpc,
    principal_pb2,
    quota_service_pb2,
)
from flowmesh.testing.polling import until
from tests.features.closed import PASSWORD, Caller, closed_suite
from tests.features.commands import command
from tests.features.natives import resource, workflow
from tests.features.security.audited import COMPANY, WAIT_S, Audited, audited_methods, call
from tests.features.security.audited_identity import (
    change_encryption,
    change_providers,
    change_secrets,
    change_tenants,
    log_in_by_loopback,
)
from tests.features.security.audited_streams import catalogue, change_others

pytestmark = pytest.mark.long

JSON = "application/json"


@pytest.fixture(scope="module")
async def audited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Audited]:
    folder: Path = tmp_path_factory.mktemp("audited")
    async with closed_suite(folder, **catalogue(folder)) as closed:
        yield Audited(closed)


async def chained(audited: Audited, slug: str, organizations: int = 5) -> str:
    """Create a company with a chain of entries: itself, its owner, organizations."""
    owner = audited.closed.owner
    made = await call(owner, "TenantService.CreateCompany", slug=slug)
    company: str = made.company.id
    for number in range(organizations):
        await call(owner, "TenantService.CreateOrganization", company_id=company, slug=f"o{number}")
    await audited.found(organizations + 2, company_id=company)
    return company


@pytest.mark.feature("S1-116")
async def test_an_entry_has_caller_time_and_change(audited: Audited) -> None:
    """By digests before and after; over REST and gRPC."""
    owner = audited.closed.owner
    project = await audited.closed.project("ledger")
    await call(owner, "TenantService.UpdateProject", project_id=project.id, name="Ledger")
    changed, made = await audited.found(2, target=project.id)
    assert (made.method, changed.method) == (
        "TenantService.CreateProject",
        "TenantService.UpdateProject",
    )
    assert made.actor == changed.actor == "owner@example.com"
    assert (made.before, made.after) == ("", changed.before)
    assert changed.after not in ("", changed.before)
    assert json.loads(changed.details)["after"]["name"] == "Ledger"
    assert made.address == "127.0.0.1"
    assert made.at_us < changed.at_us

    editor = await audited.closed.key(project.id, "editor")
    source = workflow("audited", {"id": "a", "taskRef": "noop"})
    headers = {"flowmesh_namespace": "ledger"}
    await editor.rest("POST", "/api/v1/workflows", source, **headers)
    [applied] = await audited.found(target="Workflow/audited")
    assert (applied.actor, applied.scope) == ("editor key", "ledger")
    assert applied.address == "127.0.0.1"
    assert len(json.loads(applied.details)["after"]["digest"]) == 64
    _, begun = await editor.rest("POST", "/api/v1/workflows/audited/start", {}, **headers)
    [started] = await audited.found(target=begun["executionId"])
    assert (started.method, started.actor) == ("ExecutionService.StartExecution", "editor key")


@pytest.mark.feature("S1-116")
async def test_starts_that_are_committed_together_share_entries(audited: Audited) -> None:
    """Each start is in one entry, and a search by its id finds it."""
    caller = await audited.closed.key((await audited.closed.project("crowd")).id, "editor")
    source = json.dumps(workflow("crowded", {"id": "a", "taskRef": "noop"})).encode()
    start = {"namespace": "crowd", "workflow_id": "crowded"}
    apply = {"source": source, "content_type": "application/json", "namespace": "crowd"}
    await call(caller, "DefinitionService.Apply", **apply)
    begun = await asyncio.gather(
        *(call(caller, "ExecutionService.StartExecution", **start) for _ in range(100))
    )
    ids = {each.execution_id for each in begun}
    method = "ExecutionService.StartExecution"

    async def named() -> Counter[str]:
        request = pb.SearchAuditRequest(company_id=COMPANY, page_size=1_000, method=method)
        found = (await audited.log.SearchAudit(request)).entries
        return Counter(name for each in found for name in each.target.split() if name in ids)

    await until("every start", lambda: _has(named, ids), within_s=WAIT_S)
    assert set((await named()).values()) == {1}
    [entry] = await audited.found(target=begun[-1].execution_id)
    assert entry.actor == "editor key"
    if " " in entry.target:
        starts = json.loads(entry.details)["after"]["starts"]
        assert len(starts) == len(entry.target.split())
    assert (await audited.verified()).intact


async def _has(named: Callable[[], Awaitable[Counter[str]]], ids: set[str]) -> bool:
    return set(await named()) == ids


@pytest.mark.feature("S1-116")
async def test_refusals_are_counted_and_noted(audited: Audited) -> None:
    """A missing role in the chain of the company, a wrong credential in that of all."""
    project = await audited.closed.project("refused")
    viewer = await audited.closed.key(project.id, "viewer")
    source = workflow("never", {"id": "a", "taskRef": "noop"})
    answer = await viewer.rest("POST", "/api/v1/workflows", source, flowmesh_namespace="refused")
    assert answer[0] == 403
    [refused] = await audited.found(by_actor="viewer key")
    assert (refused.method, refused.outcome) == ("DefinitionService.Apply", "ROLE_REQUIRED")
    wrong = audited.closed.caller("fm_wrong")
    assert (await wrong.rest("GET", "/api/v1/executions"))[0] == 401
    [unknown, *_] = await audited.found(company_id="", by_actor="anonymous", method="HTTP")
    assert unknown.outcome == "CREDENTIALS_INVALID"
    metrics = await text(audited.closed.owner, "/metrics")
    assert (
        'flowmesh_access_refusals_total{method="DefinitionService.Apply",reason="ROLE_REQUIRED"}'
        in metrics
    )


async def text(caller: Caller, path: str) -> str:
    """The answer to a GET as text."""
    headers = {"authorization": f"Bearer {caller.credential}"}
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"{caller.suite.http_url}{path}", headers=headers)
        return await answer.text()


@pytest.mark.feature("S1-116")
@pytest.mark.parametrize(
    ("change", "broken", "problem"),
    [
        ("update {t} set actor = 'eve' where company = $1 and sequence = 3", 3, "was changed"),
        ("update {t} set at_us = at_us - 1 where company = $1 and sequence = 1", 1, "was changed"),
        ("delete from {t} where company = $1 and sequence = 4", 4, "is missing"),
        ("delete from {t} where company = $1 and sequence > 4", 5, "were cut off"),
        (
            "update {t} as e set actor = o.actor, at_us = o.at_us, target = o.target,"
            " after = o.after, details = o.details, hash = o.hash"
            " from {t} as o where o.company = e.company and e.company = $1"
            " and (e.sequence, o.sequence) in ((2, 3), (3, 2))",
            2,
            "was changed",
        ),
        (
            "insert into {t} select company, sequence + 1, at_us, actor, method, scope, target,"
            " outcome, before, after, details, address, 'inserted', hash from {t}"
            " where company = $1 order by sequence desc limit 1",
            8,
            "was changed",
        ),
        (
            "update identity.audit_heads set sequence = 4, hash = (select hash from {t}"
            " where company = $1 and sequence = 4) where company = $1",
            4,
            "signature",
        ),
    ],
    ids=["changed", "clock", "dropped", "cut", "swapped", "inserted", "head"],
)
async def test_verify_names_the_first_bad_entry(
    audited: Audited, request: pytest.FixtureRequest, change: str, broken: int, problem: str
) -> None:
    """BI13: an entry changed, dropped, swapped, inserted or cut off in the database."""
    name = str(request.node.callspec.id)
    company = await chained(audited, f"chain-{name}")
    assert (await audited.verified(company)).intact
    connection = await asyncpg.connect(audited.postgres())
    await connection.execute(change.format(t="identity.audit_entries"), company)
    await connection.close()
    found = await audited.verified(company)
    assert (found.intact, found.broken_sequence) == (False, broken)
    assert problem in found.problem


@pytest.mark.feature("S1-116")
async def test_an_export_proves_itself(audited: Audited) -> None:
    """Its hashes and the signature of its head can be computed anew without the installation."""
    company = await chained(audited, "exported")
    entries, head = [], None
    async for part in audited.log.ExportAudit(pb.ExportAuditRequest(company_id=company)):
        entries += part.entries
        head = part.head if part.HasField("head") else head
    assert head is not None
    assert [entry.sequence for entry in entries] == list(range(1, head.sequence + 1))
    previous = bytes(32)
    for e in entries:
        fields = [
            company, e.sequence, e.at_us, e.actor, e.method, e.scope, e.target, e.outcome,
            e.before, e.after, e.details, e.address, e.source,
        ]  # fmt: skip
        written = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        previous = hashlib.sha256(previous + written).digest()
        assert previous.hex() == e.hash
    lines = ("flowmesh audit", company, head.sequence, head.hash, head.signed_at_us)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head.public_key))
    key.verify(bytes.fromhex(head.signature), "\n".join(map(str, lines)).encode())
    [noted] = await audited.found(company_id=company, method="AuditService.ExportAudit")
    assert noted.actor == "owner@example.com"


@pytest.mark.feature("S1-116")
async def test_a_company_sees_its_own_log_only(audited: Audited) -> None:
    """A foreign company is none; an editor has no access; services only record."""
    company = await chained(audited, "foreign", 0)
    project = await audited.closed.project("insider")
    admin, editor = [await audited.closed.key(project.id, role) for role in ("admin", "editor")]
    for caller, wanted, code in (
        (admin, company, grpc.StatusCode.NOT_FOUND),
        (admin, "co_never", grpc.StatusCode.NOT_FOUND),
        (editor, COMPANY, grpc.StatusCode.PERMISSION_DENIED),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(caller, "AuditService.SearchAudit", company_id=wanted)
        assert refused.value.code() is code
    stub = audit_service_pb2_grpc.AuditServiceStub(audited.closed.owner.channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecordAudit(pb.RecordAuditRequest())
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


# Audited methods that leave no entry of their own name, and the reason.
WITHOUT_ENTRY = {
    "ControlService.CreateApprovalLink": "stores nothing: a link is a signature",
    "ExecutionService.SignalByKey": "recorded as the signals of the executions",
    "TriggerService.FireTrigger": "recorded as the start of the execution",
    "ExecutionService.Session": "recorded as the starts of the stream",
    "SubscriptionService.TestSubscription": "changes nothing: it sends a notification",
    "LoginService.CompleteLogin": "needs a provider: see test_oidc.py",
    "LoginService.EndProviderSessions": "needs a provider: see test_oidc.py",
    "DefinitionService.RegisterWorkflow": "the same change as Apply, of one workflow",
}


@pytest.mark.feature("S1-116")
async def test_every_audited_method_leaves_an_entry(audited: Audited) -> None:
    """Of all that the contracts mark as audited."""
    project, company = await audited.closed.project("everything"), await change_tenants(audited)
    await _members(audited)
    await change_providers(audited, project.id)
    await audited.closed.project("sealed")
    await change_encryption(audited.closed.owner, "sealed")
    await _contents(audited, project.id)
    await _definitions(audited)
    await _executions(audited)
    await _operations(audited)
    await _messages(audited)
    await change_others(audited)
    assert [_ async for _ in audited.log.ExportAudit(pb.ExportAuditRequest(company_id=COMPANY))]
    evidence = pb.ExportEvidenceRequest(company_id=COMPANY)
    assert [_ async for _ in audited.log.ExportEvidence(evidence)]
    wanted = {f"{each.containing_service.name}.{each.name}" for each in audited_methods()}
    missing: list[str] = []
    for method in sorted(wanted - WITHOUT_ENTRY.keys()):
        try:
            await audited.in_one_of((COMPANY, "", company), method)
        except AssertionError:
            missing.append(method)
    assert not missing, missing


NAMESPACE = {"namespace": "everything"}


async def _members(audited: Audited) -> None:
    """Invite a user, who registers, logs in and out and is disabled."""
    owner, stranger = audited.closed.owner, audited.closed.caller("")
    grant = principal_pb2.Grant(level=principal_pb2.LEVEL_COMPANY, level_id=COMPANY, role="viewer")
    kept = await call(owner, "MemberService.CreateInvitation", email="ada@example.com", grant=grant)
    gone = await call(owner, "MemberService.CreateInvitation", email="bob@example.com", grant=grant)
    await call(owner, "MemberService.DeleteInvitation", invitation_id=gone.invitation.id)
    ada = {"email": "ada@example.com", "password": PASSWORD}
    user = (await call(stranger, "AuthService.Register", invitation=kept.token, **ada)).user
    tokens = (await call(stranger, "AuthService.Login", **ada)).tokens
    session = audited.closed.caller(tokens.access_token)
    other = "another long password"
    await call(session, "AuthService.ChangePassword", current_password=PASSWORD, new_password=other)
    begun = await call(stranger, "LoginService.StartDeviceLogin")
    await call(session, "LoginService.ApproveDeviceLogin", user_code=begun.user_code)
    await call(stranger, "LoginService.CompleteDeviceLogin", device_code=begun.device_code)
    await log_in_by_loopback(session, stranger)
    found = (await call(session, "AuthService.ListSessions")).sessions
    other = next(each.id for each in found if not each.current)
    await call(session, "AuthService.EndSession", session_id=other)
    await call(session, "AuthService.Logout")
    grant.role = "editor"
    await call(owner, "MemberService.SetMember", user_id=user.id, grant=grant)
    await call(owner, "MemberService.SetUserDisabled", user_id=user.id, disabled=True)


async def _contents(audited: Audited, project: str) -> None:
    """Keys, a quota, a secret and a file of a project."""
    owner = audited.closed.owner
    fields = {"project_id": project, "name": "key", "role": "viewer"}
    key = (await call(owner, "KeyService.CreateApiKey", **fields)).key.id
    await call(owner, "KeyService.UpdateApiKey", key_id=key, name="renamed")
    await call(owner, "KeyService.RotateApiKey", key_id=key)
    await call(owner, "KeyService.DeleteApiKey", key_id=key)
    quota = quota_service_pb2.Quota(running_executions=1_000)
    await call(owner, "QuotaService.SetQuota", project_id=project, quota=quota)
    await call(owner, "PlanService.SetPlan", company_id="co_default", plan={"name": "team"})
    await change_secrets(owner, NAMESPACE["namespace"])
    file = {"project_id": project, "path": "a.txt"}
    await call(owner, "FileService.PutFile", data=b"text", **file)
    await call(owner, "FileService.DeleteFile", **file)


async def _messages(audited: Audited) -> None:
    """An exchange, a queue with a dead letter, and a stream with a group."""
    owner = audited.closed.owner
    exchange = topology_pb2.Exchange(exchange="x", type=topology_pb2.EXCHANGE_TYPE_TOPIC)
    await call(owner, "BrokerService.DeclareExchange", exchange=exchange, **NAMESPACE)
    stream = topology_pb2.Queue(queue="q", kind=topology_pb2.QUEUE_KIND_STREAM)
    await call(owner, "BrokerService.DeclareQueue", queue=stream, **NAMESPACE)
    binding = topology_pb2.Binding(source="x", queue="q", key="#")
    await call(owner, "BrokerService.Bind", binding=binding, **NAMESPACE)
    await call(owner, "BrokerService.Unbind", binding=binding, **NAMESPACE)
    await call(owner, "MessageService.SeekGroup", queue="q", group="g", **NAMESPACE)
    await call(owner, "MessageService.Redrive", queue="q", **NAMESPACE)
    await call(owner, "MessageService.Discard", queue="q", sequences=[1], **NAMESPACE)
    await call(owner, "MessageService.PurgeQueue", queue="q", **NAMESPACE)
    await call(owner, "BrokerService.DeleteExchange", exchange="x", **NAMESPACE)
    await call(owner, "BrokerService.DeleteQueue", queue="q", **NAMESPACE)


async def succeeds(made: Awaitable[Any]) -> bool:
    """Return whether a call is not refused."""
    try:
        await made
    except grpc.aio.AioRpcError:
        return False
    return True


async def _definitions(audited: Audited) -> None:
    """A workflow with labels and a trigger, a task and a template."""
    owner = audited.closed.owner
    trigger = {"id": "daily", "cron": {"expression": "0 3 * * *"}}
    fired = workflow("fired", {"id": "a", "taskRef": "noop"}, triggers=[trigger])
    inner = workflow("${{ name }}", {"id": "a", "taskRef": "noop"})
    template = resource("WorkflowTemplate", "pattern", resources=[inner])
    task = resource("WorkflowTask", "logs", type="log", log={"message": "x"})
    for source in (fired, task, template):
        data = json.dumps(source).encode()
        await call(owner, "DefinitionService.Apply", source=data, content_type=JSON, **NAMESPACE)
    label = {"workflow_id": "fired", "label": "live", **NAMESPACE}
    await call(owner, "VersionService.SetLabel", version="1", **label)
    await call(
        owner,
        "DefinitionService.Apply",
        source=json.dumps(fired | {"metadata": {"name": "fired", "labels": {"a": "b"}}}).encode(),
        content_type=JSON,
        **NAMESPACE,
    )
    await call(owner, "VersionService.SetLabel", version="2", **label)
    await call(owner, "VersionService.RollbackLabel", **label)
    await call(owner, "VersionService.DeleteLabel", **label)
    daily = {"workflow_id": "fired", "trigger_id": "daily", **NAMESPACE}
    await until(
        "the trigger",
        lambda: succeeds(call(owner, "TriggerService.PauseTrigger", **daily)),
        within_s=WAIT_S,
    )
    await call(owner, "TriggerService.ResumeTrigger", **daily)
    await call(owner, "TriggerService.FireTrigger", **daily)
    event = trigger_service_pb2.Event(type="happened", source="/test")
    await call(owner, "TriggerService.PublishEvent", event=event, **NAMESPACE)
    await call(
        owner, "TemplateService.InstantiateTemplate", name="pattern", target="made", **NAMESPACE
    )
    await call(owner, "TemplateService.DeleteTemplate", name="pattern", **NAMESPACE)
    await call(owner, "DefinitionService.DeleteTask", name="logs", **NAMESPACE)
    await call(owner, "DefinitionService.DeleteWorkflow", workflow_id="fired", **NAMESPACE)


async def _executions(audited: Audited) -> None:
    """Executions that wait for a person and a signal, and all that can be done to them."""
    owner = audited.closed.owner
    tasks = (
        {"id": "ok", "approval": {"assignees": ["ida"], "title": "ok?"}},
        {"id": "go", "wait": {"event": "go"}, "dependsOn": ["ok"]},
        {"id": "end", "wait": {"event": "never"}, "dependsOn": ["go"]},
    )
    more = {
        "variables": {"limit": {"initial": 5}},
        "searchAttributes": {"region": {"type": "text"}},
    }
    source = json.dumps(workflow("works", *tasks, **more)).encode()
    await call(owner, "DefinitionService.Apply", source=source, content_type=JSON, **NAMESPACE)
    started = [
        await call(owner, "ExecutionService.StartExecution", workflow_id="works", **NAMESPACE)
        for _ in range(4)
    ]
    one, two, three, _ = [{"execution_id": each.execution_id, **NAMESPACE} for each in started]
    value = payload_pb2.Payload(data=b"7")
    await call(owner, "ControlService.SetVariable", name="limit", value=value, **one)
    await call(owner, "ControlService.SetBreakpoints", nodes=["end"], **one)
    await call(owner, "ExecutionService.PauseExecution", **one)
    await call(owner, "ExecutionService.ResumeExecution", **one)
    attribute = search_pb2.SearchValue(name="region", text="north")
    await call(owner, "SearchService.SetSearchAttributes", values=[attribute], **one)
    await call(owner, "ControlService.DecideApproval", node="ok", by="ida", approved=True, **one)
    await call(owner, "ExecutionService.SignalExecution", name="go", **one)
    await call(
        owner,
        "ControlService.SteerNode",
        node="ok",
        action=execution_pb2.NODE_ACTION_SKIP,
        **two,
    )
    await call(owner, "ExecutionService.CancelExecution", **two)
    await call(owner, "ExecutionService.TerminateExecution", **three)
    await call(owner, "ControlService.RerunExecution", **three)
    await call(owner, "RetentionService.EraseExecution", **two)
    await call(owner, "RetentionService.DeleteExecution", **three)


async def _operations(audited: Audited) -> None:
    """Limits, stops, the retention, keys of links and a bulk."""
    owner = audited.closed.owner
    limit = limits_service_pb2.Limit(
        kind=limits_service_pb2.LIMIT_KIND_WORKFLOW,
        subject="works",
        concurrency=9,
        namespace=NAMESPACE["namespace"],
    )
    await call(owner, "LimitService.SetLimit", limit=limit)
    await call(owner, "LimitService.DeleteLimit", kind=limit.kind, subject="works", **NAMESPACE)
    await call(owner, "LimitService.StopDispatch", workflow_id="works", **NAMESPACE)
    await call(owner, "LimitService.StartDispatch", workflow_id="works", **NAMESPACE)
    await call(owner, "RetentionService.SetRetention", retention_ms=86_400_000, **NAMESPACE)
    await call(owner, "ControlService.RotateLinkKey")
    action = bulk_service_pb2.BulkAction(name="pause")
    bulk = await call(
        owner,
        "BulkService.StartBulk",
        filter='workflow = "works"',
        action=action,
        rate_per_second=1,
        **NAMESPACE,
    )
    await call(owner, "BulkService.CancelBulk", bulk_id=bulk.bulk.bulk_id, **NAMESPACE)


@pytest.mark.feature("S1-116")
async def test_rest_and_the_command_read_the_log(audited: Audited) -> None:
    """Search, verify and export, as JSON and as JSON lines."""
    company = await chained(audited, "read")
    owner = audited.closed.owner
    of = f"?companyId={company}"
    status, found = await owner.rest("GET", f"/api/v1/audit{of}&pageSize=2")
    assert (status, [each["sequence"] for each in found["entries"]]) == (200, [7, 6])
    assert found["entries"][0]["details"]["after"]["slug"] == "o4"
    _, more = await owner.rest("GET", f"/api/v1/audit{of}&pageToken={found['nextPageToken']}")
    assert [each["sequence"] for each in more["entries"]] == [5, 4, 3, 2, 1]
    status, checked = await owner.rest("GET", f"/api/v1/audit:verify{of}")
    assert (status, checked["intact"], checked["entries"]) == (200, True, 7)
    lines = (await text(owner, f"/api/v1/audit:export{of}")).splitlines()
    assert json.loads(lines[0])["method"] == "TenantService.CreateCompany"
    assert json.loads(lines[-1])["head"]["companyId"] == company

    token = {"FLOWMESH_TOKEN": owner.credential}
    search = ("audit", "search", "--company", company, "--json")
    told = await command(owner.suite, *search, environment=token)
    assert told.json[-1]["sequence"] == 1
    told = await command(owner.suite, *search, "--limit", "3", environment=token)
    assert [each["sequence"] for each in told.json] == [8, 7, 6]
    told = await command(owner.suite, "audit", "verify", "--company", company, environment=token)
    assert (told.code, told.lines[0].startswith("intact: 8 entries;")) == (0, True), told.out
    told = await command(owner.suite, "audit", "export", "--company", company, environment=token)
    assert json.loads(told.lines[-1])["head"]["companyId"] == company
