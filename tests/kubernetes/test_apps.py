"""Apps on a real API server: blue and green, rollback, checks, and the servers that they name."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.testing.polling import pause, until
from tests.kubernetes.conftest import Place
from tests.kubernetes.podrunner import PodRunner, running_pods

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(240)]
DOCUMENT = """
name: hello
modules:
  - { name: web, type: http.server, config: { address: ":8080" } }
  - { name: router, type: http.router, dependsOn: [web] }
  - { name: health, type: health.checker }
"""


def app(text: str, **spec: Any) -> dict[str, Any]:
    """Return an App that answers a text at /hello."""
    pipeline = f"""
pipelines:
  hello:
    trigger: {{ type: http, config: {{ path: /hello, method: GET }} }}
    steps:
      - {{ name: answer, type: step.json_response, config: {{ body: {{ text: {text} }} }} }}
"""
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "App",
        "metadata": {"name": "hello"},
        "spec": {
            "source": {"document": DOCUMENT + pipeline},
            "readyPath": "/readyz",
            **spec,
        },
    }


def infrastructure(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Infrastructure",
        "metadata": {"name": name},
        "spec": spec,
    }


@dataclass
class Stream:
    """Requests, one after the other on connections of their own, and their answers."""

    url: str
    answers: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            try:
                async with (
                    aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
                    http.get(self.url) as answer,
                ):
                    answer.raise_for_status()
                    self.answers.append((await answer.json())["text"])
            except (aiohttp.ClientError, TimeoutError) as error:
                self.failed.append(repr(error))
            await pause(0.02)

    async def until(self, text: str, within_s: float = 40) -> None:
        """Wait for an answer that is not an older one."""
        seen = len(self.answers)

        async def answered() -> bool:
            return text in self.answers[seen:]

        await until(text, answered, within_s=within_s)


@pytest.fixture
async def pods(place: Place, namespace: str, tmp_path: Path) -> AsyncIterator[PodRunner]:
    async with running_pods(place.cluster.kubeconfig, namespace, tmp_path) as runner:
        yield runner


@asynccontextmanager
async def requests(runner: PodRunner) -> AsyncIterator[Stream]:
    """Send requests to the Service of the App during the block."""
    async with runner.service("hello", 8080) as address:
        stream = Stream(f"http://{address}/hello")
        task = asyncio.create_task(stream.run())
        try:
            yield stream
        finally:
            task.cancel()


async def status(place: Place, namespace: str) -> dict[str, Any]:
    found = await place.cluster.get("app", "hello", "-n", namespace)
    state: dict[str, Any] = found.get("status", {})
    return state


@pytest.mark.feature("S1-187")
async def test_green_gets_the_traffic_without_a_failed_request(
    place: Place, namespace: str, pods: PodRunner
) -> None:
    """And blue takes it back at once, as its pods are kept."""
    await place.apply(namespace, app("one"))
    await place.until_ready(namespace, "app", "hello", timeout_s=60)
    assert (await status(place, namespace))["colour"] == "blue"
    async with requests(pods) as stream:
        await stream.until("one")
        await place.apply(namespace, app("two"))
        await stream.until("two")
        assert (await status(place, namespace))["next"] == "green"
        names = set(pods.pods)
        await place.apply(namespace, app("two", active="blue"))
        await stream.until("one", within_s=5)
        assert names == set(pods.pods), "no pod was started for the rollback"
        # Without the pin, the newest spec is wanted again.
        await place.apply(namespace, app("two"))
        await stream.until("two", within_s=5)
        assert stream.failed == []
    row = (await place.kubectl("get", "fapp", "-n", namespace, "--no-headers")).split()
    assert row[:4] == ["hello", "True", "green", "Serving"]
    events = await place.kubectl("get", "events", "-n", namespace)
    assert "green has the traffic" in events or "blue has the traffic" in events


@pytest.mark.feature("S1-187")
async def test_a_colour_that_is_not_ready_or_fails_its_check_gets_no_traffic(
    place: Place, namespace: str, pods: PodRunner
) -> None:
    """The other one goes on, and loses its pods only after the switch."""
    await place.apply(namespace, app("one", strategy={"keepSeconds": 1}))
    await place.until_ready(namespace, "app", "hello", timeout_s=60)
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(requests(pods))
        await stream.until("one")
        await place.apply(namespace, app("two", readyPath="/nowhere"))
        ready = await place.until_ready(namespace, "app", "hello", status="False")
        assert ready["reason"] == "Progressing"

        async def started() -> bool:
            return any("green" in name for name in pods.pods)

        await until("started", started, within_s=20)
        seen = len(stream.answers)

        async def served() -> bool:
            return len(stream.answers) > seen + 50

        await until("served", served, within_s=20)
        await stack.enter_async_context(pods.service("hello-green", 8080))
        checks = [{"http": {"path": "/missing"}}]
        await place.apply(namespace, app("two", strategy={"checks": checks}))

        async def refused() -> bool:
            found = (await status(place, namespace))["conditions"][0]
            return found["reason"] == "CheckFailed" and "404" in found["message"]

        await until("refused", refused, within_s=40)
        assert set(stream.answers) == {"one"}
        checks = [{"http": {"path": "/hello"}}]
        await place.apply(namespace, app("two", strategy={"checks": checks, "keepSeconds": 1}))
        await stream.until("two")

        async def blue_is_gone() -> bool:
            return not any("blue" in name for name in pods.pods)

        await until("blue is gone", blue_is_gone, within_s=60)
        assert stream.failed == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({**app("one"), "spec": {"replicas": 1}}, "a source, an image, or both"),
        (app("one", sauce="x"), "sauce"),
        (app("one", strategy={"checks": [{}]}), "either http or workflow"),
        (infrastructure("db", kind="oracle"), "oracle"),
    ],
    ids=["nothing to run", "unknown member", "no check", "unknown kind"],
)
async def test_a_wrong_app_is_refused_at_the_door(
    place: Place, namespace: str, document: dict[str, Any], said: str
) -> None:
    """By the API server, and nothing is stored."""
    output = await place.apply(namespace, document, check=False)
    assert said in output
    left = await place.kubectl("get", "fapp,infra", "-n", namespace)
    assert "No resources found" in left


async def test_what_the_cluster_would_refuse_is_refused_at_the_door(
    place: Place, namespace: str
) -> None:
    """Of the objects of an App or Infrastructure, with the member of its spec."""
    requests = {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}
    for document, member in (
        (app("one", env={"A=B": "1"}), "spec.env: Deployment hello-blue"),
        (app("one", resources=requests), "spec.resources: Deployment hello-blue"),
        (app("one", scaling={"minReplicas": 3, "maxReplicas": 2}), "spec.scaling: Horizontal"),
        (infrastructure("i", kind="redis", resources=requests), "spec.resources: StatefulSet i"),
    ):
        output = await place.apply(namespace, document, check=False)
        assert "The request is invalid" in output, output
        assert member in output, output
    await place.apply(namespace, infrastructure("cache", kind="redis", size="1Gi"))

    async def made() -> bool:
        return "cache" in await place.kubectl("get", "statefulset", "-n", namespace, "-o", "name")

    await until("the server is made", made, within_s=20)
    larger = infrastructure("cache", kind="redis", size="2Gi")
    output = await place.apply(namespace, larger, check=False)
    assert "spec.size: StatefulSet cache" in output, output
    assert "field is immutable" in output, output


async def test_a_document_is_checked_at_the_door(place: Place, namespace: str) -> None:
    """As the application host does, with its place; what is stored already is not asked about."""
    wrong = app("one")
    wrong["spec"]["source"] = {"document": DOCUMENT.replace("http.router", "http.rooter")}
    output = await place.apply(namespace, wrong, check=False)
    assert "spec.source.document: line 5, column" in output, output
    assert "http.rooter" in output, output
    broken = app("one", source={"document": DOCUMENT, "files": {"/etc/x": "text"}})
    output = await place.apply(namespace, broken, check=False)
    assert "must be a relative path" in output, output
    dotted = {**app("one"), "metadata": {"name": "hello.world"}}
    output = await place.apply(namespace, dotted, check=False)
    assert "metadata.name: Service hello.world" in output, output
    assert "No resources found" in await place.kubectl("get", "fapp", "-n", namespace)
    output = await place.apply(namespace, app("'${GREETING}'"))
    assert "Warning: spec.source.document: line" in output, output
    assert "the environment has no GREETING" in output, output
    await place.apply(namespace, app("'${GREETING}'", env={"GREETING": "hi"}, strategy={}))


async def test_a_deleted_app_leaves_nothing_and_another_service_stays(
    place: Place, namespace: str, pods: PodRunner
) -> None:
    """An App does not take over what it has not made."""
    await place.kubectl("create", "service", "clusterip", "hello", "--tcp=80", "-n", namespace)
    await place.apply(namespace, app("one"))
    ready = await place.until_ready(namespace, "app", "hello", status="False")
    assert ready["reason"] == "OwnedElsewhere"
    await place.kubectl("delete", "service", "hello", "-n", namespace)
    await place.apply(namespace, app("one", scaling={"maxReplicas": 3}))
    await place.until_ready(namespace, "app", "hello", timeout_s=60)

    async def scaled() -> bool:
        found = await place.kubectl("get", "hpa", "-n", namespace)
        return "Deployment/hello-blue" in found

    await until("scaled", scaled, within_s=10)
    await place.apply(namespace, app("one"))

    async def left_alone() -> bool:
        return not await scaled()

    await until("left alone", left_alone, within_s=10)
    await place.kubectl("delete", "app", "hello", "-n", namespace)

    async def gone() -> bool:
        found = await place.kubectl("get", "deploy,svc,cm,pods", "-n", namespace, "-o", "name")
        return "hello" not in found

    await until("gone", gone, within_s=30)


async def test_an_emptied_secret_is_filled_again(
    place: Place, namespace: str, pods: PodRunner
) -> None:
    """With the password that the server has."""
    await place.apply(namespace, infrastructure("jobs", kind="redis"))
    await place.until_ready(namespace, "infra", "jobs", timeout_s=60)

    async def url() -> str:
        found = await place.cluster.get("secret", "jobs-address", "-n", namespace)
        return base64.b64decode((found.get("data") or {}).get("url", "")).decode()

    before = await url()
    assert before.endswith(f"@jobs.{namespace}.svc:6379")
    patch = '{"data": null}'
    await place.kubectl("patch", "secret", "jobs-address", "-n", namespace, "-p", patch)
    assert await url() == ""

    async def filled() -> bool:
        return await url() == before

    await until("filled", filled, within_s=40)
    await place.kubectl("create", "secret", "generic", "mine", "-n", namespace)
    external = {"secret": "mine"}
    await place.apply(namespace, infrastructure("mine", kind="redis", external=external))
    ready = await place.until_ready(namespace, "infra", "mine", status="False")
    assert ready["message"] == "the Secret mine has no url"
