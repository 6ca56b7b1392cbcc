"""Documents of Apps as requests to the application host, and its findings as problems."""

import asyncio
from typing import Any, cast

import pytest

from flowmesh.api.apphost.v1 import app_pb2
from flowmesh.api.apphost.v1 import app_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.apps.release_process import confinement
from flowmesh.errors import Overloaded, WrongState
from flowmesh.operator.provisioning import documents
from flowmesh.operator.provisioning.documents import Documents, problem_of, request_of

WRONG = app_pb2.AppFinding(code="APP_INVALID", message="wrong", path="modules[0]", line=3, column=5)
UNSET = app_pb2.AppFinding(code="ENV_MISSING", message="no SHOP_URL", warning=True)


class Host:
    """Answers with findings or an error; without either, never."""

    def __init__(self, *findings: app_pb2.AppFinding, error: Exception | None = None) -> None:
        self.findings, self.error = findings, error
        self.requests: list[pb.ValidateAppRequest] = []

    async def ValidateApp(self, request: pb.ValidateAppRequest) -> pb.ValidateAppResponse:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        if not self.findings:
            await asyncio.Event().wait()
        return pb.ValidateAppResponse(findings=self.findings)


def app(document: str = "name: shop", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop"}, "spec": {"source": {"document": document}, **spec}}


async def check(host: Host, found: Any, before: Any = None) -> list[definition_pb2.Problem]:
    return list(await Documents(cast("Any", host)).check(found, before, "labs"))


def test_a_request_has_the_variables_that_a_text_names() -> None:
    """Others may have names and sizes that an application host does not take."""
    source = {"document": "a: ${ONE} ${env:TWO:-x}", "files": {"more.yaml": "b: ${THREE}"}}
    env = {"ONE": "1", "TWO": "2", "THREE": "3", "odd.name": "4"}
    request = request_of({**app(), "spec": {"source": source, "env": env}}, "labs")
    assert request is not None
    assert (request.namespace, request.app) == ("labs", "shop")
    assert dict(request.environment) == {"ONE": "1", "TWO": "2", "THREE": "3"}
    assert [(each.path, each.content) for each in request.files] == [("more.yaml", b"b: ${THREE}")]


@pytest.mark.parametrize(
    ("found", "before"),
    [
        ({"metadata": {"name": "shop"}, "spec": {"image": "nginx"}}, None),
        (app(image="mine:1"), None),
        (app(command=["run"]), None),
        (app(active="blue", replicas=3), app()),
    ],
    ids=["no document", "own image", "own command", "same document"],
)
async def test_what_no_host_can_judge_or_has_judged_is_not_asked(found: Any, before: Any) -> None:
    """So that a rollback by `active` needs nobody."""
    host = Host(WRONG)
    assert await check(host, found, before) == []
    assert not host.requests


async def test_a_changed_document_is_asked_about_again() -> None:
    """Also one whose variables change alone."""
    host = Host(WRONG)
    await check(host, app("name: other"), app())
    await check(host, app("a: ${A}", env={"A": "2"}), app("a: ${A}", env={"A": "1"}))
    assert len(host.requests) == 2


async def test_a_finding_has_its_place() -> None:
    """File, line and column, as in other checks of the document."""
    (found,) = await check(Host(WRONG), app())
    assert (found.path, found.code) == ("source.document", "APP_INVALID")
    assert found.message == "line 3, column 5: modules[0]: wrong"
    assert found.severity == definition_pb2.SEVERITY_ERROR
    inside = problem_of(app_pb2.AppFinding(file="more.yaml", message="wrong", warning=True))
    assert (inside.path, inside.message) == ("source.files[more.yaml]", "wrong")
    assert inside.severity == definition_pb2.SEVERITY_WARNING


@pytest.mark.parametrize(("spec", "count"), [({}, 1), ({"secrets": ["s"]}, 0)])
async def test_a_variable_of_a_secret_is_not_missing(spec: dict[str, Any], count: int) -> None:
    """Its keys are not read here."""
    assert len(await check(Host(UNSET), app(**spec))) == count


async def test_the_bounds_of_a_shared_machine_are_not_those_of_a_pod() -> None:
    """A path of the pod is no fault."""
    assert {confinement.FOREIGN, confinement.ADDRESS} == documents.FOREIGN
    foreign = [app_pb2.AppFinding(code=code, message="outside") for code in documents.FOREIGN]
    assert await check(Host(*foreign), app()) == []


async def test_a_host_that_checks_nothing_says_so() -> None:
    """Without walls the App is stored, with a warning; a process that ended is an error."""
    missing = WrongState("APP_ISOLATION_MISSING", "this host lacks walls")
    (found,) = await check(Host(error=missing), app())
    assert found.severity == definition_pb2.SEVERITY_WARNING
    assert found.message == "the document was not checked: this host lacks walls"
    (found,) = await check(Host(error=WrongState("RELEASE_REFUSED", "it ended by SIGKILL")), app())
    assert found.severity == definition_pb2.SEVERITY_ERROR


async def test_a_check_ends_before_its_review(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says what took too long."""
    monkeypatch.setattr(documents, "DOCUMENT_TIMEOUT_S", 0.01)
    with pytest.raises(Overloaded, match=r"not checked within 0\.01 s"):
        await check(Host(), app())
