"""CPU and memory of the pods of a runner as `metrics.k8s.io`, which an autoscaler asks for."""

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psutil
import yaml
from aiohttp import web

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.podrunner import PodRunner

GROUP = "metrics.k8s.io/v1beta1"
NAME = "pod-metrics"
WINDOW_S = 2.0


class PodMetrics:
    """Answers for the pods of one namespace."""

    def __init__(self, runner: PodRunner, namespace: str) -> None:
        self._runner = runner
        self._namespace = namespace
        # By process: its CPU seconds at the last look, when that was, and the cores since then.
        self._used: dict[int, tuple[float, float, float]] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"/apis/{GROUP}", _kinds)
        app.router.add_get(f"/apis/{GROUP}/namespaces/{self._namespace}/pods", self._pods)
        return app

    async def _pods(self, request: web.Request) -> web.Response:
        selector = request.query.get("labelSelector", "")
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        items = []
        for name, running in self._runner.pods.items():
            if wanted.items() - running.labels.items():
                continue
            with suppress(psutil.NoSuchProcess):
                usage = self._usage(running.process.pid)
                items.append(
                    {
                        "metadata": {"name": name, "namespace": self._namespace},
                        "timestamp": now,
                        "window": f"{WINDOW_S:.0f}s",
                        "containers": [{"name": running.container, "usage": usage}],
                    }
                )
        return web.json_response({"kind": "PodMetricsList", "apiVersion": GROUP, "items": items})

    def _usage(self, pid: int) -> dict[str, str]:
        process, now = psutil.Process(pid), time.monotonic()
        times = process.cpu_times()
        seconds = times.user + times.system
        before, at, cores = self._used.get(pid, (seconds, now, 0.0))
        if now - at >= WINDOW_S or pid not in self._used:
            cores = (seconds - before) / (now - at) if now > at else 0.0
            self._used[pid] = (seconds, now, cores)
        return {"cpu": f"{cores * 1e3:.0f}m", "memory": f"{process.memory_info().rss // 1024}Ki"}


async def _kinds(_: web.Request) -> web.Response:
    pods = {"name": "pods", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
    body = {"kind": "APIResourceList", "groupVersion": GROUP, "resources": [pods]}
    return web.json_response({"apiVersion": "v1", **body})


@asynccontextmanager
async def pod_metrics(cluster: Cluster, runner: PodRunner, namespace: str) -> AsyncIterator[None]:
    """Serve the metrics behind an APIService of the cluster during the block."""
    version, group = GROUP.rpartition("/")[2], GROUP.partition("/")[0]
    meta = {"name": NAME, "namespace": namespace}
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"ports": [{"port": 443}]},
        },
        # The API server calls the address of the Service, but wants to see an endpoint.
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": NAME}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["192.0.2.1"]}],
            "ports": [{"name": "", "port": 443}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{group}"},
            "spec": {
                "group": group,
                "version": version,
                "service": {"name": NAME, "namespace": namespace, "port": 443},
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]
    await cluster.kubectl("apply", "-f", "-", source=yaml.safe_dump_all(objects))
    service = await cluster.get("service", NAME, "-n", namespace)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cluster.folder / "server.pem", cluster.folder / "server.key")
    server = web.AppRunner(PodMetrics(runner, namespace).app(), access_log=None)
    await server.setup()
    await web.TCPSite(server, service["spec"]["clusterIP"], 443, ssl_context=context).start()
    try:
        yield
    finally:
        await cluster.kubectl("delete", "apiservice", f"{version}.{group}")
        await server.cleanup()
