"""Workflows and executions of a project: deployment, step-level detail, and the dashboard."""

from typing import Any

import pytest

from tests.features.closed import Caller, Closed

FIRST = [{"operation": "sort"}]
SECOND = [{"operation": "sort", "order": "desc"}]


def workflow(name: str, pipeline: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    task = {
        "id": "order",
        "taskRef": "transform",
        "input": {"source": [2, 3, 1], "pipeline": pipeline},
    }
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": [task], **spec},
    }


async def done(caller: Caller, method: str, path: str, body: Any = None) -> Any:
    """Send a request that must succeed; return its JSON."""
    status, answer = await caller.rest(method, f"/api/v1{path}", body)
    assert 200 <= status < 300, (method, path, status, answer)
    return answer


async def refused(caller: Caller, method: str, path: str, body: Any = None) -> tuple[int, str]:
    status, answer = await caller.rest(method, f"/api/v1{path}", body)
    assert status >= 400, answer
    return status, answer["error"]["reason"]


@pytest.mark.long
@pytest.mark.feature("S1-114")
async def test_versions_are_deployed_stopped_and_rolled_back(closed: Closed) -> None:
    """Each step shows its status; the deployed version runs, a stopped workflow does not start."""
    project = await closed.project("shipping")
    path = f"/projects/{project.id}/workflows"
    admin = await closed.key(project.id, "admin")
    schedule = [{"id": "nightly", "cron": {"expression": "0 3 * * *"}}]
    for pipeline in (FIRST, SECOND):
        await done(admin, "POST", path, workflow("ship", pipeline, triggers=schedule))
    own, run = f"{path}/ship", {"version": "deployed"}
    assert (await done(admin, "GET", f"{own}/deployment"))["status"] == "undeployed"

    for version, output in ((1, [1, 2, 3]), (2, [3, 2, 1])):
        state = await done(admin, "POST", f"{own}:deploy", {"version": version})
        assert (state["status"], state["version"]) == ("deployed", version)
        ended = await done(admin, "POST", f"{own}/execute", run)
        assert ended["outputs"]["order"] == output

    state = await done(admin, "POST", f"{own}:stop", {"reason": "a wrong price"})
    shown = ("stopped", 2, "a wrong price", 1)
    kept = ("status", "version", "reason", "pausedTriggers")
    assert tuple(state[key] for key in kept) == shown
    assert await done(admin, "GET", f"{own}/deployment") == state
    assert await done(admin, "POST", f"{own}:stop") == state
    stopped = (409, "WORKFLOW_STOPPED")
    for start in (f"{own}/start", f"{own}/execute"):
        assert await refused(admin, "POST", start, run) == stopped
    headers = {"flowmesh_namespace": project.namespace}
    status, answer = await admin.rest("POST", "/api/v1/workflows/ship/start", {}, **headers)
    assert (status, answer["error"]["reason"]) == stopped

    state = await done(admin, "POST", f"{own}:rollback")
    assert (state["status"], state["version"], state["pausedTriggers"]) == ("deployed", 1, 0)
    ended = await done(admin, "POST", f"{own}/execute", run)
    assert ended["outputs"]["order"] == [1, 2, 3]


@pytest.mark.feature("S1-114", "S1-111")
async def test_a_deployment_needs_its_role(closed: Closed) -> None:
    """A viewer sees it, an editor deploys, an admin stops; a missing version changes nothing."""
    project = await closed.project("guarded")
    own = f"/projects/{project.id}/workflows/ship"
    viewer, editor, admin = [
        await closed.key(project.id, role) for role in ("viewer", "editor", "admin")
    ]
    await done(editor, "POST", f"/projects/{project.id}/workflows", workflow("ship", FIRST))
    body = {"version": 1}
    role = (403, "ROLE_REQUIRED")
    assert await refused(viewer, "POST", f"{own}:deploy", body) == role
    assert (await refused(editor, "POST", f"{own}:deploy", {"version": 9}))[0] == 404
    assert (await done(viewer, "GET", f"{own}/deployment"))["status"] == "undeployed"
    await done(editor, "POST", f"{own}:deploy", body)
    assert await refused(editor, "POST", f"{own}:stop") == role
    await done(admin, "POST", f"{own}:stop")
    assert await refused(editor, "POST", f"{own}:deploy", body) == role
    assert (await done(viewer, "GET", f"{own}/deployment"))["status"] == "stopped"
    other = f"/projects/{project.id}/workflows/missing"
    for path in (f"{other}/deployment", f"{other}:stop", f"{other}:rollback"):
        method = "GET" if path.endswith("deployment") else "POST"
        assert (await refused(admin, method, path))[0] == 404


@pytest.mark.feature("S1-115")
async def test_an_execution_shows_its_steps(closed: Closed) -> None:
    """By the path of its project: each step with input, output and times."""
    project = await closed.project("steps")
    path = f"/projects/{project.id}"
    editor = await closed.key(project.id, "editor")
    await done(editor, "POST", f"{path}/workflows", workflow("steps", FIRST))
    ended = await done(editor, "POST", f"{path}/workflows/steps/execute", {"input": {"a": 1}})
    listed = (await done(editor, "GET", f"{path}/executions?workflow=steps"))["executions"]
    assert [each["executionId"] for each in listed] == [ended["executionId"]]
    own = f"{path}/executions/{ended['executionId']}"
    execution = await done(editor, "GET", own)
    step = execution["tasks"]["order"]
    assert (step["status"], step["output"]) == ("success", [1, 2, 3])
    assert step["startedAt"] <= step["endedAt"]
    node = await done(editor, "GET", f"{own}/nodes/order")
    assert node["input"]["source"] == [2, 3, 1]
    history = await done(editor, "GET", f"{own}/history")
    assert history["ended"]


@pytest.mark.feature("S1-110")
async def test_a_project_path_reaches_its_namespace_only(closed: Closed) -> None:
    """Foreign projects are missing; a stated namespace does not lead out of the project."""
    mine, theirs = await closed.project("path-mine"), await closed.project("path-theirs")
    editor = await closed.key(mine.id, "editor")
    await done(closed.owner, "POST", f"/projects/{theirs.id}/workflows", workflow("secret", FIRST))
    for path in ("workflows", "executions", "workflows/secret", "dashboard"):
        answers = [
            await editor.rest("GET", f"/api/v1/projects/{id}/{path}")
            for id in (theirs.id, "prj_missing")
        ]
        assert [status for status, _ in answers] == [404, 404]
        assert str(answers[0][1]).replace(theirs.id, "prj_missing") == str(answers[1][1])
    headers = {"flowmesh_namespace": theirs.namespace}
    path = f"/api/v1/projects/{mine.id}/workflows"
    status, answer = await closed.owner.rest("GET", path, **headers)
    assert (status, answer["workflows"]) == (200, [])


@pytest.mark.feature("S1-117")
async def test_the_dashboard_has_counts_rates_errors_and_resources(closed: Closed) -> None:
    """The numbers are those of the project; only the installation's members see its process."""
    project = await closed.project("numbers")
    path = f"/projects/{project.id}"
    editor = await closed.key(project.id, "editor")
    await done(editor, "POST", f"{path}/workflows", workflow("good", FIRST))
    failing = workflow("bad", FIRST)
    failing["spec"]["tasks"][0]["input"]["source"] = "not an array"
    await done(editor, "POST", f"{path}/workflows", failing)
    for name in ("good", "good", "good", "bad"):
        await editor.rest("POST", f"/api/v1{path}/workflows/{name}/execute", {})
    numbers = await done(editor, "GET", f"{path}/dashboard")
    assert numbers["executions"] == {"completed": 3, "failed": 1}
    assert numbers["rates"]["success"] == 0.75
    assert numbers["rates"]["startedPerMinute"] > 0
    assert [(each["workflow"], each["count"]) for each in numbers["errors"]] == [("bad", 1)]
    stats = {each["workflow"]: each for each in numbers["workflows"]}
    assert (stats["good"]["completed"], stats["bad"]["failed"]) == (3, 1)
    assert stats["good"]["p95Ms"] > 0
    assert "process" not in numbers["resources"]
    assert numbers["resources"]["queues"]["running"] == 0
    whole = await done(closed.owner, "GET", f"{path}/dashboard?hours=1")
    assert whole["resources"]["process"]["memoryBytes"] > 2**20
    assert (await refused(editor, "GET", f"{path}/dashboard?hours=0"))[0] == 400
