"""A catalogue in a folder, with a key that a suite trusts."""

from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.plugins import signing, wheels
from flowmesh.plugins.catalogue import INDEX, write_index
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response, Suite

PATIENCE_S = 60.0
MANIFEST = """
name = "{name}"
version = "{version}"
kind = "task"
summary = "Greet somebody."
flowmesh = ">=0.1"
self_test = "{name}.tasks:self_test"
[tasks]
"{name}.greet" = "{name}.tasks:greet"
[permissions]
connect = ["{{host}}:7"]
[configuration]
type = "object"
required = ["host"]
additionalProperties = false
properties.host = {{type = "string"}}
properties.greeting = {{type = "string", default = "Hello"}}
"""
TASKS = """
from flowmesh.plugins import configuration

VERSION = "{version}"


def greet(input):
    return {{"text": f"{{configuration()['greeting']}}, {{input['name']}}!", "by": VERSION}}


def self_test():
    {test}
"""
PANEL = """
name = "{name}"
version = "1.0.0"
kind = "panel"
summary = "Show something."
[panel]
title = "{name}"
page = "{name}/page.html"
places = ["execution", "workflow"]
[permissions]
read = ["execution"]
"""


class Market:
    """Publishes plugins; `environment` lets a suite use them."""

    def __init__(self, folder: Path) -> None:
        self._projects = folder / "projects"
        self.folder = folder / "catalogue"
        self.folder.mkdir()
        secret, public = signing.new_key()
        (folder / "signing.key").write_text(secret)
        self._key = signing.read_key(folder / "signing.key")
        self.environment = {
            "FLOWMESH_PLUGIN_CATALOGUE": str(self.folder),
            "FLOWMESH_PLUGIN_KEYS": public,
        }

    def publish(self, project: Path) -> Path:
        """Build, sign and index a project; return its wheel."""
        manifest, wheel = wheels.build(project)
        file = self.folder / manifest.wheel
        file.write_bytes(wheel)
        signature = signing.sign(self._key, "wheel", wheels.digest_of(wheel))
        file.with_name(file.name + signing.SUFFIX).write_text(signature)
        write_index(self.folder, self._key)
        return file

    def replace(self, file: Path, wheel: bytes, key: Ed25519PrivateKey | None = None) -> None:
        """Replace a wheel, which nobody checks, and sign it and the index; by `key` the wheel."""
        file.write_bytes(wheel)
        digest = wheels.digest_of(wheel)
        index = self.folder / INDEX
        content = msgspec.json.decode(index.read_bytes())
        (entry,) = [each for each in content["plugins"] if each["file"] == file.name]
        entry |= {"digest": digest, "signature": signing.sign(key or self._key, "wheel", digest)}
        index.write_bytes(msgspec.json.encode(content))
        signature = signing.sign(self._key, "index", wheels.digest_of(index.read_bytes()))
        index.with_name(index.name + signing.SUFFIX).write_text(signature)

    def greeter(self, version: str, *, name: str = "greeter", test: str = "pass") -> Path:
        """Publish a version of a plugin that greets; `test` is its self-test."""
        return self.publish(
            self.project(
                f"{name}-{version}",
                MANIFEST.format(name=name, version=version),
                TASKS.format(version=version, test=test),
                name,
            )
        )

    def panel(self, name: str, html: str) -> Path:
        """Publish a panel that asks to read the shown execution."""
        project = self.project(name, PANEL.format(name=name), "", name)
        (project / name / "page.html").write_text(html)
        return self.publish(project)

    def project(self, folder: str, manifest: str, tasks: str, name: str) -> Path:
        """Write the files of a project."""
        project = self._projects / folder
        (project / name).mkdir(parents=True)
        (project / "plugin.toml").write_text(manifest)
        (project / name / "__init__.py").write_text("")
        (project / name / "tasks.py").write_text(tasks)
        return project


class Shelf:
    """Calls about the plugins of one namespace."""

    def __init__(self, suite: Suite, namespace: str) -> None:
        self.suite, self.namespace = suite, namespace
        self._stored = set[str]()

    async def call(self, method: str, path: str, body: Any = None) -> Response:
        headers = {"Flowmesh-Namespace": self.namespace}
        return await self.suite.request(method, f"/api/v1/{path}", body, headers=headers)

    async def register(self, kind: str, name: str, spec: Any, **labels: str) -> Response:
        """Register a resource, and delete it in the end."""
        self._stored.add(name)
        metadata = {"name": name, "labels": labels}
        document = {"apiVersion": "workflow.io/v1", "kind": kind, "metadata": metadata}
        return await self.call("POST", "workflows", {**document, "spec": spec})

    async def removal(self, name: str) -> str:
        """Return the sentence of a removal that is refused because of its users."""
        refused = await self.call("DELETE", f"plugins/{name}")
        assert (refused.status, refused.json["error"]["reason"]) == (409, "PLUGIN_IN_USE")
        return str(refused.json["error"]["message"])

    async def installed(self, name: str, configuration: dict[str, Any]) -> dict[str, Any]:
        """Install a plugin, accept what it asks for, and return it once it is settled."""
        body = {"name": name, "configuration": configuration}
        answer = await self.call("POST", "plugins", body)
        if answer.status == 409:
            accepted = [each["description"] for each in answer.json["error"]["details"]]
            answer = await self.call("POST", "plugins", {**body, "accepted": accepted})
        assert answer.status == 202, answer.text
        return await self.settled(name)

    async def run(self, task: str, input: dict[str, Any], *secrets: str) -> Any:
        """Run a workflow with one task; return the answer of the run."""
        name = task.replace(".", "-")
        spec = {"type": task, "retry": {"maxAttempts": 1}, "secrets": list(secrets)}
        return await self.run_task(name, spec, input)

    async def run_task(self, name: str, spec: dict[str, Any], input: dict[str, Any]) -> Any:
        """Run a workflow with a task of a spec; return the answer of the run."""
        graph = {"tasks": [{"id": "do", "taskRef": name, "input": input}]}
        for kind, content in (("WorkflowTask", spec), ("Workflow", graph)):
            answer = await self.register(kind, name, content)
            assert answer.status < 300, answer.text
        return (await self.call("POST", f"workflows/{name}/execute", {"input": {}})).json

    async def settled(self, name: str) -> dict[str, Any]:
        """Return a plugin once its agents are ready, or its version has failed."""
        found: dict[str, Any] = {}

        async def done() -> bool:
            answer = await self.call("GET", f"plugins/{name}")
            assert answer.status == 200, answer.text
            found.clear()
            found.update(answer.json)
            return bool(found["state"] != "starting")

        await until(f"{name} is settled", done, within_s=PATIENCE_S)
        return found

    async def end(self) -> None:
        """Delete what `run` stored, remove all plugins, and wait for the end of their agents."""
        for name in self._stored:
            for path in (f"workflows/{name}", f"tasks/{name}"):
                await self.call("DELETE", path)
        for each in (await self.call("GET", "plugins")).json["plugins"]:
            scope = "?allProjects=true" if each["allProjects"] else ""
            answer = await self.call("DELETE", f"plugins/{each['name']}{scope}")
            assert answer.status == 204, answer.text
        await self.ended()

    async def ended(self) -> None:
        """Wait for the end of all agents."""

        async def none() -> bool:
            return bool((await self.call("GET", "agents")).json["agents"] == [])

        await until("no agent is left", none, within_s=PATIENCE_S)
