"""Texts that lead to objects of another tenant: page tokens, cursors, request ids, links.

Also the places in which texts of a tenant may be left behind: logs, metrics and traces.
"""

import base64
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from flowmesh.access import Role
from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.execution.v1 import execution_service_pb2, search_service_pb2
from flowmesh.api.execution.v1.bulk_service_pb2 import PreviewBulkRequest
from tests.access.answers import Answer, call, rest
from tests.access.conftest import Watched
from tests.access.contracts import BY_NAME, METHODS, Method
from tests.access.crossing import Pair
from tests.access.samples import sample
from tests.access.tenants import SAME, Tenant
from tests.features.closed import Closed

pytestmark = [pytest.mark.feature("S4-62")]
PAGED = [
    method
    for method in METHODS
    if "page_token" in method.descriptor.input_type.fields_by_name
    and not method.rule.is_for_services
]
# Requests that are idempotent by their id, and the values that they need.
REPEATED = (
    "BulkService.StartBulk",
    "DefinitionService.Apply",
    "DefinitionService.RegisterWorkflow",
    "ExecutionService.StartExecution",
    "TriggerService.FireTrigger",
    "VersionService.SetLabel",
)


async def page_token(method: Method, tenant: Tenant) -> str:
    """Return the token of the second page of the tenant's list; empty if it has only one."""
    request = sample(method, tenant)
    request.page_token = ""
    if "page_size" in method.descriptor.input_type.fields_by_name:
        request.page_size = 1
    answer = await call(tenant.keys[Role.OWNER], method, request)
    if answer.code != "OK":
        return ""
    page: Any = method.response.FromString(answer.frames[0])
    return str(page.next_page_token)


@pytest.mark.parametrize("method", PAGED, ids=str)
async def test_a_page_token_of_another_tenant_leads_nowhere(method: Method, pair: Pair) -> None:
    """It is refused as any other text is, or leads into the caller's own list."""
    token = await page_token(method, pair.other)
    request = sample(method, pair.caller)
    request.page_token = token
    answer = await call(pair.caller.keys[Role.OWNER], method, request)
    assert pair.revealed(answer, token.encode()) == []
    if token and method.rule.namespaces:
        assert (answer.code, answer.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), answer


async def test_the_tokens_of_pages_are_there(pair: Pair) -> None:
    """Most lists of a tenant have a second page, so that the test above tries something."""
    tokens = [bool(await page_token(method, pair.other)) for method in PAGED]
    assert sum(tokens) >= 8, dict(zip(map(str, PAGED), tokens, strict=True))


async def test_a_cursor_of_another_tenant_shows_none_of_its_events(pair: Pair) -> None:
    """With its position a stream continues in the caller's own namespace."""
    method = BY_NAME["EventService.WatchEvents"]
    await _start(pair.other, "cursor")
    watched = await call(
        pair.other.admin,
        method,
        event_service_pb2.WatchEventsRequest(namespace=pair.other.namespace, cursor="0"),
    )
    responses = map(event_service_pb2.WatchEventsResponse.FromString, watched.frames)
    cursors = {each.cursor for each in responses if each.cursor} | {"0", "1"}
    for cursor in cursors:
        request = event_service_pb2.WatchEventsRequest(
            namespace=pair.caller.namespace, cursor=cursor
        )
        answer = await call(pair.caller.admin, method, request)
        assert pair.revealed(answer, cursor.encode()) == [], answer


async def _start(tenant: Tenant, request_id: str) -> Answer:
    method = BY_NAME["ExecutionService.StartExecution"]
    request = sample(method, tenant)
    request.workflow_id, request.request_id = SAME, request_id
    return await call(tenant.admin, method, request)


@pytest.mark.parametrize("name", REPEATED)
async def test_a_request_id_of_another_tenant_is_a_new_one(name: str, pair: Pair) -> None:
    """The answer is that of a first call, not the one that the other tenant had."""
    method = BY_NAME[name]
    answers = []
    calls = ((pair.other, 1), (pair.caller, 0), (pair.caller, 1), (pair.caller, 2))
    for tenant, number in calls:
        request = sample(method, tenant)
        request.request_id = f"{name}-{number}"
        answers.append(await call(tenant.admin, method, request))
    repeated, new = answers[2:]
    assert pair.revealed(repeated) == [], repeated
    assert repeated.blind([f"{name}-1"]) == new.blind([f"{name}-2"]), (repeated, new)


FILTERS: tuple[Callable[[Tenant], str], ...] = (
    lambda tenant: f"labels.tenant = '{tenant.canary}'",
    lambda tenant: f"workflow = '{tenant.canary}'",
    lambda tenant: f"not labels.tenant = '{tenant.canary}-none'",
    lambda tenant: f"labels.tenant = '{tenant.canary}' or status = running",
)


@pytest.mark.parametrize("number", range(len(FILTERS)))
async def test_a_filter_finds_nothing_of_another_tenant(number: int, pair: Pair) -> None:
    """In lists, counts and bulk operations."""
    text = FILTERS[number](pair.other)
    namespace = pair.caller.namespace
    requests = {
        "ExecutionService.ListExecutions": execution_service_pb2.ListExecutionsRequest(
            namespace=namespace, filter=text
        ),
        "SearchService.CountExecutions": search_service_pb2.CountExecutionsRequest(
            namespace=namespace, filter=text, group_by=["labels.tenant"]
        ),
        "BulkService.PreviewBulk": PreviewBulkRequest(namespace=namespace, filter=text),
    }
    for name, request in requests.items():
        answer = await call(pair.caller.admin, BY_NAME[name], request)
        assert pair.revealed(answer) == [], answer


async def test_a_mixed_token_of_a_waiting_node_is_unknown(closed: Closed, pair: Pair) -> None:
    """The signature of one's own token with the text of another's, and cut ones."""
    method = BY_NAME["TriggerService.ReceiveWebhook"]
    own, other = (_decoded(each.names["token"]) for each in (pair.caller, pair.other))
    mixed = (own[:16] + other[16:], other[:16] + own[16:], other[:-1], other[16:], b"")
    for data in mixed:
        request = method.request()
        request.token = base64.urlsafe_b64encode(data).decode().rstrip("=") or "x"
        answer = await call(closed.caller(""), method, request)
        assert (answer.code, answer.reason) == ("NOT_FOUND", "HOOK_NOT_FOUND"), answer


def _decoded(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


async def test_a_mixed_approval_link_is_invalid(closed: Closed, pair: Pair) -> None:
    """The content of another tenant's link with the signature of one's own."""
    own, other = (each.names["link"].split(".") for each in (pair.caller, pair.other))
    mixed = (
        ".".join((other[0], other[1], own[2])),
        ".".join((other[0], own[1], other[2])),
        ".".join(other[:2]),
    )
    async with aiohttp.ClientSession() as session:
        for token in mixed:
            for name in ("ReadApprovalLink", "DecideByLink"):
                method = BY_NAME[f"ControlService.{name}"]
                request = method.request()
                request.token = token
                answer = await call(closed.caller(""), method, request)
                assert (answer.code, answer.reason) == ("PERMISSION_DENIED", "LINK_INVALID")
            page = await rest(closed.caller(""), session, "GET", f"/approve/{token}")
            assert page.code == "403"
            assert pair.revealed(page) == []


async def test_no_private_text_is_left_behind(closed: Watched, pair: Pair) -> None:
    """Neither an input nor a credential is in a log, a metric or a span of the suite."""
    private = [each.private for each in (pair.caller, pair.other)]
    private += [key.credential for each in (pair.caller, pair.other) for key in each.keys.values()]
    private += [
        each.names[name] for each in (pair.caller, pair.other) for name in ("link", "token")
    ]
    async with aiohttp.ClientSession() as session:
        metrics = await rest(closed.owner, session, "GET", "/metrics")
    assert metrics.code == "200"
    assert closed.collector.spans
    places = {
        "log": closed.suite.log.read_text(),
        "metrics": metrics.data.decode(),
        "spans": repr(closed.collector.spans),
    }
    found = [(place, text) for place, held in places.items() for text in private if text in held]
    assert found == []


async def test_metrics_are_not_for_a_tenant(closed: Closed, pair: Pair) -> None:
    """They are of all tenants: a key needs to read the namespace of the installation."""
    async with aiohttp.ClientSession() as session:
        for role in (Role.VIEWER, Role.ADMIN, Role.WORKER):
            answer = await rest(pair.caller.keys[role], session, "GET", "/metrics")
            assert answer.code == "403", answer
        reader = await closed.key("prj_default", "viewer")
        assert (await rest(reader, session, "GET", "/metrics")).code == "200"
