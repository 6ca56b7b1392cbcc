"""A kubelet for tests: the pods of a namespace run as processes of this machine.

Each pod has an address of its own in 127.0.0.0/8, on which its process listens. Images and networks
do not exist here; names of Services in variables become addresses, as DNS would do. Of volumes only
ConfigMaps are written; a server without a command is that of `images`.
"""

import asyncio
import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.core.exceptions import LoadResourceError
from lightkube.models.core_v1 import SecretVolumeSource
from lightkube.resources.core_v1 import ConfigMap, Pod, Secret, Service
from lightkube.types import PatchType

from flowmesh.testing.polling import pause
from tests.kubernetes.cluster import account, serve

POLL_S = 0.3
STOPS_S = 20.0
ROOT = Path(__file__).resolve().parents[2]
INFRASTRUCTURE = "workflow.io/infrastructure"


@dataclass
class Running:
    """A pod and its process."""

    address: str
    process: subprocess.Popen[bytes]
    began: str
    container: str
    labels: Mapping[str, str]
    ready: bool = False
    said: dict[str, Any] = field(default_factory=dict)


class PodRunner:
    """Starts, probes and ends the processes of the pods of one namespace."""

    def __init__(self, client: AsyncClient, kubeconfig: Path, namespace: str, folder: Path) -> None:
        self._client = client
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._folder = folder
        self._pods: dict[str, Running] = {}
        self._numbers = count(1)
        self._turns = count()

    @property
    def pods(self) -> Mapping[str, Running]:
        """The running pods by their names."""
        return self._pods

    def address(self, selector: Mapping[str, str]) -> str:
        """Return the address of a ready pod, the next one at each call. Raises LookupError."""
        ready = [
            each.address
            for each in self._pods.values()
            if each.ready and selector.items() <= each.labels.items()
        ]
        if not ready:
            raise LookupError(selector)
        return ready[next(self._turns) % len(ready)]

    @asynccontextmanager
    async def service(self, name: str, port: int, target: int = 0) -> AsyncIterator[str]:
        """Serve the address of a Service by the pods that it selects; return the address.

        `target` is the port of the pods, if it is another one.
        """
        found = await self._client.get(Service, name, namespace=self._namespace)
        assert found.spec is not None
        selector = dict(found.spec.selector or {})

        async def follow() -> None:
            async for _, each in self._client.watch(
                Service, namespace=self._namespace, fields={"metadata.name": name}
            ):
                selector.clear()
                selector.update((each.spec and each.spec.selector) or {})

        address = str(found.spec.clusterIP)
        task = asyncio.ensure_future(follow())
        try:
            async with serve(address, port, lambda: (self.address(selector), target or port)):
                yield f"{address}:{port}"
        finally:
            task.cancel()

    async def run(self) -> None:
        """Follow the pods until canceled, then end them."""
        try:
            async with aiohttp.ClientSession() as http:
                while True:
                    with suppress(ApiError, LoadResourceError):
                        await self._round(http)
                    await pause(POLL_S)
        finally:
            await asyncio.gather(*map(_stopped, self._pods.values()))

    async def _round(self, http: aiohttp.ClientSession) -> None:
        found = {}
        async for pod in self._client.list(Pod, namespace=self._namespace):
            assert pod.metadata is not None
            found[str(pod.metadata.name)] = pod
        for name in self._pods.keys() - found.keys():
            # A pod without a node is gone at once when it is deleted.
            await _stopped(self._pods.pop(name))
        for name, pod in found.items():
            assert pod.metadata is not None
            running = self._pods.get(name)
            if running is not None:
                if pod.metadata.deletionTimestamp and running.process.poll() is None:
                    await _stopped(running, pod.metadata.deletionGracePeriodSeconds or 0)
                await self._tell(http, name, pod, running)
            elif not pod.metadata.deletionTimestamp:
                await self._start(name, pod)

    async def _start(self, name: str, pod: Pod) -> None:
        assert pod.spec is not None
        assert pod.metadata is not None
        (container,) = pod.spec.containers
        number = next(self._numbers)
        address = f"127.{96 + number // 200}.0.{number % 200 + 1}"
        environment = await self._environment(container.env or [], address)
        if environment is None:
            return  # a Service that it names has no pod yet
        command = [*(container.command or []), *(container.args or [])]
        if INFRASTRUCTURE in (pod.metadata.labels or {}):
            command = [
                "python",
                "-m",
                "tests.kubernetes.images",
                str(container.image).partition(":")[0],
                *(container.args or []),
            ]
        if pod.spec.automountServiceAccountToken is not False and pod.spec.serviceAccountName:
            given = pod.spec.serviceAccountName
            own = await account(self._kubeconfig, self._folder, given, self._namespace)
            environment["KUBECONFIG"] = str(own)
        folders = await self._volumes(name, pod)
        for path, folder in folders.items():
            command = [each.replace(f"{path}/", f"{folder}/", 1) for each in command]
        if pod.metadata.finalizers:
            await self._bind(name)
        program, *arguments = command
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 it outlives the call
                [str(Path(sys.executable).parent / program), *arguments],
                env=os.environ | environment | {"FLOWMESH_HOST": address},
                cwd=ROOT
                if INFRASTRUCTURE in (pod.metadata.labels or {})
                else folders.get(container.workingDir or "", self._folder),
                stdout=log,
                stderr=log,
            )
        began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._pods[name] = Running(
            address, process, began, container.name, pod.metadata.labels or {}
        )

    async def _bind(self, name: str) -> None:
        """Give a pod a node, as a scheduler does: its deletion waits for its process."""
        target = {"apiVersion": "v1", "kind": "Node", "name": "local"}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        # The answer is a Status, which the client does not read.
        http = self._client._client._client
        await http.post(f"/api/v1/namespaces/{self._namespace}/pods/{name}/binding", json=body)

    async def _environment(self, variables: list[Any], address: str) -> dict[str, str] | None:
        values: dict[str, str] = {}
        for each in variables:
            source = each.valueFrom
            if source is None:
                value = each.value or ""
            elif source.fieldRef is not None:
                value = address
            else:
                found = await self._secret(source.secretKeyRef.name, source.secretKeyRef.key)
                if found is None:
                    return None  # tried again, as a kubelet does
                value = found
            for known, text in values.items():
                value = value.replace(f"$({known})", text)
            resolved = await self._resolved(value)
            if resolved is None:
                return None
            values[each.name] = resolved
        return values

    async def _volumes(self, name: str, pod: Pod) -> dict[str, str]:
        """Write files of ConfigMaps and Secrets; return the folder of each path."""
        assert pod.spec is not None
        (container,) = pod.spec.containers
        maps = {
            each.name: each.configMap or each.secret
            for each in pod.spec.volumes or []
            if each.configMap or each.secret
        }
        folders = {}
        for mount in container.volumeMounts or []:
            if mount.name not in maps:
                continue
            source = maps[mount.name]
            data = await self._data(source)
            folder = self._folder / f"{name}-files"
            assert source is not None
            for item in source.items or []:
                path = folder / item.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data[item.key])
                path.chmod(0o755)
            folders[mount.mountPath] = str(folder)
        return folders

    async def _data(self, source: Any) -> dict[str, bytes]:
        """Return the texts of a ConfigMap or Secret."""
        if isinstance(source, SecretVolumeSource):
            secret = await self._client.get(
                Secret, str(source.secretName), namespace=self._namespace
            )
            return {key: base64.b64decode(text) for key, text in (secret.data or {}).items()}
        found = await self._client.get(ConfigMap, str(source.name), namespace=self._namespace)
        return {key: text.encode() for key, text in (found.data or {}).items()}

    async def _secret(self, name: str, key: str) -> str | None:
        found = await self._client.get(Secret, name, namespace=self._namespace)
        text = (found.data or {}).get(key)
        return None if text is None else base64.b64decode(text).decode()

    async def _resolved(self, value: str) -> str | None:
        """Replace the name of a Service by the address of a ready pod, as DNS would do."""
        host = re.search(r"([a-z0-9-]+)\.[a-z0-9-]+\.svc", value)
        if host is not None:
            found = await self._client.get(Service, host[1], namespace=self._namespace)
            assert found.spec is not None
            return value.replace(host[0], str(found.spec.clusterIP))
        match = re.fullmatch(r"flowmesh-([a-z]+):(\d+)", value)
        if match is None:
            return value
        for name, running in self._pods.items():
            if name.startswith(f"flowmesh-{match[1]}-") and running.ready:
                return f"{running.address}:{match[2]}"
        return None

    async def _tell(
        self, http: aiohttp.ClientSession, name: str, pod: Pod, running: Running
    ) -> None:
        """Write the status of a pod if it has changed."""
        assert pod.spec is not None
        (container,) = pod.spec.containers
        ended = running.process.poll() is not None
        running.ready = not ended and await _answers(http, running.address, container)
        code = running.process.poll()
        phase = "Running" if code is None else "Failed" if code else "Succeeded"
        said = {
            "phase": phase,
            "podIP": running.address,
            "podIPs": [{"ip": running.address}],
            "hostIP": "127.0.0.1",
            "startTime": running.began,
            "conditions": [
                {"type": kind, "status": str(running.ready), "lastTransitionTime": running.began}
                for kind in ("Ready", "ContainersReady")
            ],
            "containerStatuses": [self._container(name, running)],
        }
        if said != running.said:
            await self._client.patch(
                Pod.Status,
                name,
                {"status": said},
                namespace=self._namespace,
                patch_type=PatchType.MERGE,
            )
            running.said = said

    def _container(self, name: str, running: Running) -> dict[str, Any]:
        """Return the status of a container, with its last words after a failure."""
        code = running.process.poll()
        state: dict[str, Any] = {"running": {"startedAt": running.began}}
        if code is not None:
            text = (self._folder / f"{name}.log").read_text(errors="replace")[-2_048:]
            said = {"exitCode": code if code >= 0 else 128 - code, "message": text if code else ""}
            state = {"terminated": said}
        about = {"name": running.container, "image": "local", "imageID": "local"}
        return {**about, "ready": running.ready, "restartCount": 0, "state": state}


async def _stopped(running: Running, grace_s: float = STOPS_S) -> None:
    """End a process as a kubelet does: by SIGTERM, and after a while by SIGKILL."""
    if grace_s:
        running.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(running.process.wait, min(grace_s, STOPS_S))
    running.process.kill()


async def _answers(http: aiohttp.ClientSession, address: str, container: Any) -> bool:
    """Return whether the readiness probe of a container succeeds."""
    if container.readinessProbe is None:
        return True
    probe = container.readinessProbe.httpGet or container.readinessProbe.tcpSocket
    port = next(each.containerPort for each in container.ports if each.name == probe.port)
    if container.readinessProbe.httpGet is None:
        try:
            _, writer = await asyncio.open_connection(address, port)
        except OSError:
            return False
        writer.close()
        return True
    url = f"http://{address}:{port}{probe.path}"
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


@asynccontextmanager
async def running_pods(kubeconfig: Path, namespace: str, folder: Path) -> AsyncIterator[PodRunner]:
    """Run the pods of a namespace during the block."""
    async with AsyncClient(config=KubeConfig.from_file(kubeconfig).get()) as client:
        runner = PodRunner(client, kubeconfig, namespace, folder)
        task = asyncio.ensure_future(runner.run())
        try:
            yield runner
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
