"""Objects of the API server for agents, and what pods tell of them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.definitions.editor.kubernetes import AGENT_LABEL, GROUP
from flowmesh.definitions.formats.native.resources import API_VERSION
from flowmesh.fleet import limits
from flowmesh.fleet.driving.driver import Observed
from flowmesh.fleet.storage.records import AgentRow, SpecRow

Object = Mapping[str, Any]
"""An object of the API server, as JSON."""

FLEET_LABEL: Final = f"{GROUP}/fleet"
KILLED: Final = f"{GROUP}/killed"
NAMESPACE: Final = f"{GROUP}/namespace"
# A pod stays until the end of its agent is recorded.
FINALIZER: Final = f"{GROUP}/agent"
FOLDER: Final = "/agent"
USER: Final = 10001
KEY: Final = "FLOWMESH_API_KEY"
POLICY: Final = "flowmesh-agents"
# A pod whose node does not answer counts as ended so long after its time was up.
NODE_LOST_S: Final = 30.0
# Addresses of a cluster and its machines, which `FLOWMESH_EGRESS=public` keeps from agents.
_PRIVATE: Final = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
)
_UNITS: Final = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "": 1.0,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
}


def pod(
    agent: AgentRow,
    spec: SpecRow,
    variables: Mapping[str, str],
    *,
    namespace: str,
    owner: Object | None,
    fleet: str,
    image: str,
) -> dict[str, Any]:
    """Return the pod of an agent."""
    content = spec.content
    home = {"HOME": "/tmp", "TMPDIR": "/tmp", "USER": "agent"}  # noqa: S108 its own volume
    known = {**home, **content.environment, **variables}
    container = _container(content, known, agent.id)
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if content.files:
        files = [{"key": _key(at), "path": path} for at, path in enumerate(sorted(content.files))]
        source = {"secretName": agent.id, "items": files, "defaultMode": 0o555}
        volumes.append({"name": "files", "secret": source})
    drain_ms = content.drain_timeout_ms or limits.DRAIN_TIMEOUT_MS
    labels = {FLEET_LABEL: fleet, AGENT_LABEL: agent.spec}
    metadata: dict[str, Any] = {
        "name": agent.id,
        "namespace": namespace,
        "finalizers": [FINALIZER],
        "labels": {"app.kubernetes.io/managed-by": "flowmesh", **labels},
    }
    if owner is not None:
        metadata["ownerReferences"] = [_reference(owner, API_VERSION)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # The fleet kills first, which names the cause.
            "terminationGracePeriodSeconds": drain_ms // 1_000 + 5,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": volumes,
            "containers": [{"image": image, **container}],
        },
    }


def _container(
    content: pb.AgentSpec, variables: Mapping[str, str], secret_name: str
) -> dict[str, Any]:
    secret = {"secretKeyRef": {"name": secret_name, "key": KEY}}
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    if content.files:
        mounts.append({"name": "files", "mountPath": FOLDER, "readOnly": True})
    bounds = resources_of(content.limits)
    program = content.command[0].removeprefix("./")
    own = f"{FOLDER}/{program}" if program in content.files else content.command[0]
    return {
        "name": "agent",
        "command": [own, *content.command[1:]],
        "workingDir": FOLDER if content.files else "/tmp",  # noqa: S108
        "env": [
            {"name": name, "valueFrom": secret} if name == KEY else {"name": name, "value": value}
            for name, value in variables.items()
        ],
        "resources": {"requests": bounds, "limits": bounds},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _key(number: int) -> str:
    """Return the key of a file in its Secret: keys have no slashes."""
    return f"file-{number}"


def secret(owner: Object, content: pb.AgentSpec, key: str) -> dict[str, Any]:
    """Return the Secret with the files and the key of an agent, which goes with its pod."""
    files = {_key(number): text for number, (_, text) in enumerate(sorted(content.files.items()))}
    metadata = owner["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "ownerReferences": [_reference(owner, "v1")],
        },
        "stringData": {**files, KEY: key},
    }


def network_policy(namespace: str, egress: str, allowed: Sequence[str]) -> dict[str, Any]:
    """Return the connections of the agents of a namespace: suite, names, and the egress policy."""
    world: dict[str, Any] = {"cidr": "0.0.0.0/0"}
    if egress == "public":
        world["except"] = list(_PRIVATE)
    gateway = {"app.kubernetes.io/part-of": "flowmesh", "app.kubernetes.io/component": "gateway"}
    every: dict[str, Any] = {"namespaceSelector": {}}
    ports = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": POLICY, "namespace": namespace},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": FLEET_LABEL, "operator": "Exists"}]},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"to": [{**every, "podSelector": {"matchLabels": gateway}}]},
                {"to": [{**every, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]}
                | {"ports": ports},
                {
                    "to": [
                        {"ipBlock": each} for each in (world, *({"cidr": each} for each in allowed))
                    ]
                },
            ],
        },
    }


def resources_of(bounds: pb.AgentLimits) -> dict[str, str]:
    """Return the limits of a spec as resources of a container."""
    found = {}
    if bounds.cpu:
        found["cpu"] = f"{round(bounds.cpu * 1_000)}m"
    if bounds.memory_bytes:
        found["memory"] = str(bounds.memory_bytes)
    if bounds.disk_bytes:
        found["ephemeral-storage"] = str(bounds.disk_bytes)
    return found


def enforcement_of(bounds: pb.AgentLimits) -> dict[str, str]:
    """Return what holds each limit."""
    by = {"cpu": "cgroup", "memory_bytes": "cgroup", "disk_bytes": "kubelet"}
    return {field.name: by[field.name] for field, _ in bounds.ListFields()}


def observed(found: Object, now_s: float, cpu_s: float, memory: int) -> Observed:
    """Return what a pod tells of its agent."""
    metadata, status = found["metadata"], found.get("status") or {}
    killed = (metadata.get("annotations") or {}).get(KILLED, "")
    state = ((status.get("containerStatuses") or [{}])[0].get("state") or {}).get("terminated", {})
    code = _code(found, state, now_s)
    return Observed(
        pid=0,
        code=code,
        killed=killed or (status.get("message") or "" if code is not None else ""),
        words=str(state.get("message") or ""),
        cpu_s=cpu_s,
        memory=memory,
        running=status.get("phase") == "Running",
    )


def unschedulable(found: Object) -> str:
    """Return why no node takes a pod; empty if one does."""
    conditions = (found.get("status") or {}).get("conditions") or []
    return next(
        (
            f"NO_CAPACITY: {each.get('message', '')}"
            for each in conditions
            if each["type"] == "PodScheduled" and each["status"] == "False"
        ),
        "",
    )


def quantity(text: str) -> float:
    """Return a number of the API server, such as 250m or 64Mi."""
    unit = text.lstrip("0123456789.")
    return float(text.removesuffix(unit)) * _UNITS[unit]


def _code(found: Object, state: Mapping[str, Any], now_s: float) -> int | None:
    """Return the exit code of an agent, negative for a signal; None while it runs."""
    phase = (found.get("status") or {}).get("phase")
    if phase == "Succeeded":
        return 0
    if phase == "Failed":
        code = int(state.get("exitCode", 1))
        return 128 - code if code > 128 else code
    ends = found["metadata"].get("deletionTimestamp")
    if ends is None:
        return None
    late = now_s - datetime.fromisoformat(str(ends)).timestamp() > NODE_LOST_S
    return -9 if late or not found["spec"].get("nodeName") else None


def _reference(owner: Object, api_version: str) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {
        "apiVersion": api_version,
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
