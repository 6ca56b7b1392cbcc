"""Native resources as tests write them, and the calls that most of them make."""

import json

import yaml

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Response, Suite

YAML = {"content-type": "application/yaml"}


def resource(kind: str, name: str, **spec: Json) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def http_task(name: str, url: str, **spec: Json) -> Json:
    """Posts its input."""
    http = {"method": "POST", "url": url, "body": "{{input}}"}
    return resource("WorkflowTask", name, type="http", http=http, **spec)


def workflow(name: str, *tasks: Json, **spec: Json) -> Json:
    return resource("Workflow", name, tasks=list(tasks), **spec)


def text(*resources: Json) -> str:
    """As YAML, without aliases of what is there twice."""
    return yaml.safe_dump_all(json.loads(json.dumps(resources)), sort_keys=False)


async def apply(suite: Suite, *resources: Json, **headers: str) -> Response:
    return await suite.post(
        "/api/v1/workflows", data=text(*resources).encode(), headers=YAML | headers
    )


async def applied(suite: Suite, *resources: Json, **headers: str) -> Json:
    answer = await apply(suite, *resources, **headers)
    assert answer.status == 201, answer.text
    return answer.json


async def execute(suite: Suite, name: str, value: Json = None, **options: Json) -> Response:
    return await suite.post(f"/workflows/{name}/execute", {"input": value or {}, **options})


def refusal(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json["error"]["reason"]
