"""Agents as pods of the cluster of the fleet, which keep running without it."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from lightkube import ApiError, AsyncClient
from lightkube.core.exceptions import ConfigError
from lightkube.types import PatchType

from flowmesh.definitions.editor.kubernetes import GROUP, VERSION
from flowmesh.errors import Unavailable, WrongState
from flowmesh.extras.kubernetes import global_kind, namespaced_kind
from flowmesh.fleet.driving import pods
from flowmesh.fleet.driving.credentials import Credentials
from flowmesh.fleet.driving.driver import Observed, Started
from flowmesh.fleet.driving.pods import Object
from flowmesh.fleet.storage.records import AgentRow, SpecRow
from flowmesh.runtime import Settings, StartError

POD: Final = namespaced_kind("", "v1", "Pod", "pods")
SECRET: Final = namespaced_kind("", "v1", "Secret", "secrets")
POLICY: Final = namespaced_kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
AGENT_SPEC: Final = namespaced_kind(GROUP, VERSION, "AgentSpec", "agentspecs")
NAMESPACE: Final = global_kind("", "v1", "Namespace", "namespaces")
METRICS: Final = namespaced_kind("metrics.k8s.io", "v1beta1", "PodMetrics", "pods")
Labels = dict[str, Any]
MANAGER: Final = "flowmesh-fleet"
# Pause between readings of metrics, and after a cluster without them.
METRICS_S: Final = 5.0
NO_METRICS_S: Final = 60.0


def cluster_client(namespace: str) -> AsyncClient:
    """Return a client of the cluster around this process. Raises StartError outside of one."""
    try:
        return AsyncClient(namespace=namespace or None)
    except ConfigError as error:
        raise StartError(
            f"FLOWMESH_AGENT_DRIVER=kubernetes needs a cluster: {error}; run the fleet in a pod"
            " with a service account, or set KUBECONFIG"
        ) from error


class PodDriver:
    """One pod for each agent, named by its id, in the namespace of its AgentSpec.

    Agents of a spec without a resource are in the namespace of the fleet. A finalizer keeps a pod
    until the end of its agent is recorded.
    """

    node = "kubernetes"
    lasting = True

    def __init__(
        self, *, client: AsyncClient, credentials: Credentials, settings: Settings
    ) -> None:
        self._client, self._credentials, self._settings = client, credentials, settings
        self._namespaces = settings.agent_namespace_names
        # The newest pods by the ids of their agents.
        self._pods: dict[str, Object] = {}
        # Processor time, and memory, of agents.
        self._used: dict[str, tuple[float, int]] = {}
        self._measured_at = self._measure_at = time.monotonic()
        self._guarded: set[str] = set()

    async def spawn(self, agent: AgentRow, spec: SpecRow) -> Started:
        variables = dict(await self._credentials.of(agent, spec))
        async with _translated(f"the pod {agent.id}"):
            namespace, owner = await self._place(agent)
            await self._guard(namespace)
            wanted = pods.pod(
                agent,
                spec,
                variables,
                namespace=namespace,
                owner=owner,
                fleet=self._client.namespace,
                image=self._settings.app_image,
            )
            made = await self._client.create(POD.from_dict(wanted))
            self._pods[agent.id] = made
            if spec.content.files or pods.KEY in variables:
                secret = pods.secret(made, spec.content, variables.get(pods.KEY, ""))
                await self._client.create(SECRET.from_dict(secret))
        return Started(0, pods.enforcement_of(spec.content.limits))

    async def observe(self) -> Mapping[str, Observed]:
        labels: Labels = {pods.FLEET_LABEL: self._client.namespace}
        found: dict[str, Object] = {}
        async with _translated("the pods of agents"):
            for namespace in self._namespaces or ("*",):
                async for each in self._client.list(POD, namespace=namespace, labels=labels):
                    found[str(each["metadata"]["name"])] = each
            self._pods = found
            await self._measure(labels)
        now_s, none = time.time(), (0.0, 0)
        return {
            agent_id: pods.observed(each, now_s, *self._used.get(agent_id, none))
            for agent_id, each in found.items()
        }

    async def drain(self, agent_id: str) -> None:
        await self._delete(agent_id)

    async def kill(self, agent_id: str, reason: str) -> None:
        found = self._pods.get(agent_id)
        if found is not None:
            reason = (reason.startswith("START") and pods.unschedulable(found)) or reason
            await self._patch(found, {"annotations": {pods.KILLED: reason[:1_000]}})
            await self._delete(agent_id, grace_s=0)

    async def forget(self, agent_id: str) -> None:
        found = self._pods.get(agent_id)
        if found is not None:
            await self._delete(agent_id, grace_s=0)
            kept = [each for each in found["metadata"]["finalizers"] if each != pods.FINALIZER]
            await self._patch(found, {"finalizers": kept})

    async def alone(self) -> bool:
        return False

    async def end(self) -> None:
        for agent_id in list(await self.observe()):
            await self.kill(agent_id, "the fleet ends")

    async def close(self) -> None:
        await self._client.close()

    async def _place(self, agent: AgentRow) -> tuple[str, Object | None]:
        """Return the namespace of an agent, and the AgentSpec that owns it."""
        namespace, owner = await self._owner(agent)
        if self._namespaces and namespace not in self._namespaces:
            text = f"no agents may be in the namespace {namespace} of the cluster"
            raise WrongState("AGENT_START_FAILED", text)
        return namespace, owner

    async def _owner(self, agent: AgentRow) -> tuple[str, Object | None]:
        named: Labels = {"metadata.name": agent.spec}
        async for each in self._client.list(AGENT_SPEC, namespace="*", fields=named):
            metadata = each["metadata"]
            if metadata.get("deletionTimestamp"):
                continue
            if await self._suite_namespace(metadata["namespace"]) == agent.namespace:
                return metadata["namespace"], each
        return self._client.namespace, None

    async def _suite_namespace(self, name: str) -> str:
        found = await self._client.get(NAMESPACE, name)
        return str((found["metadata"].get("annotations") or {}).get(pods.NAMESPACE) or name)

    async def _guard(self, namespace: str) -> None:
        """Apply the policy of the connections of agents, once for each namespace."""
        if namespace not in self._guarded:
            settings = self._settings
            policy = pods.network_policy(namespace, settings.egress, settings.egress_networks)
            await self._client.patch(
                POLICY,
                pods.POLICY,
                policy,
                namespace=namespace,
                patch_type=PatchType.APPLY,
                field_manager=MANAGER,
                force=True,
            )
            self._guarded.add(namespace)

    async def _measure(self, labels: Labels) -> None:
        """Add the processor time since the last reading, if the cluster has metrics."""
        now = time.monotonic()
        if now < self._measure_at:
            return
        used: dict[str, tuple[float, int]] = {}
        passed, self._measured_at, self._measure_at = now - self._measured_at, now, now + METRICS_S
        try:
            for namespace in self._namespaces or ("*",):
                async for each in self._client.list(METRICS, namespace=namespace, labels=labels):
                    name = str(each["metadata"]["name"])
                    # None yet, or one of a mesh beside that of the agent.
                    usages = [one["usage"] for one in each["containers"]]
                    before = self._used.get(name, (0.0, 0))[0]
                    cpu_s = before + sum(pods.quantity(one["cpu"]) for one in usages) * passed
                    used[name] = cpu_s, round(sum(pods.quantity(one["memory"]) for one in usages))
        except (ApiError, httpx2.HTTPError):
            # A cluster without metrics answers by plain text.
            self._measure_at = now + NO_METRICS_S
        self._used = used

    async def _delete(self, agent_id: str, grace_s: int | None = None) -> None:
        found = self._pods.get(agent_id)
        if found is None:
            return
        namespace = found["metadata"]["namespace"]
        async with _translated(f"the pod {agent_id}"), _gone_is_done():
            await self._client.delete(POD, agent_id, namespace=namespace, grace_period=grace_s)

    async def _patch(self, found: Object, metadata: Mapping[str, Any]) -> None:
        name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
        async with _translated(f"the pod {name}"), _gone_is_done():
            await self._client.patch(
                POD,
                name,
                {"metadata": metadata},
                namespace=namespace,
                patch_type=PatchType.MERGE,
                field_manager=MANAGER,
            )


@asynccontextmanager
async def _gone_is_done() -> AsyncIterator[None]:
    try:
        yield
    except ApiError as error:
        if error.status.code != 404:
            raise


@asynccontextmanager
async def _translated(what: str) -> AsyncIterator[None]:
    """Raise errors of the API server as those of the suite."""
    try:
        yield
    except ApiError as error:
        text = f"{what}: {error.status.message}"
        if error.status.code in (403, 422):
            raise WrongState("AGENT_START_FAILED", text) from error
        raise Unavailable("SERVICE_UNAVAILABLE", text) from error
    except httpx2.HTTPError as error:
        text = f"{what}: the API server does not answer: {type(error).__name__}"
        raise Unavailable("SERVICE_UNAVAILABLE", text) from error
