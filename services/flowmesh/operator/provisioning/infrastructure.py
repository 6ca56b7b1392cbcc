"""The objects of an Infrastructure: a server, its Service, and a Secret with its address. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowmesh.definitions.editor import applications
from flowmesh.operator.kinds import Object
from flowmesh.operator.provisioning import manifests
from flowmesh.operator.provisioning.manifests import manifest

USER: Final = "flowmesh"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a server is run; `$(PASSWORD)` is its password."""

    image: str
    version: str
    port: int
    user: int
    data: str
    outputs: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ("/tmp",)  # noqa: S108 a folder of the image


# An output is a template of user, password and host.
KINDS: Final[Mapping[str, Kind]] = {
    "postgres": Kind(
        image="postgres",
        version="18.1-bookworm",
        port=5432,
        user=999,
        data="/var/lib/postgresql",
        outputs={"url": "postgresql://{user}:{password}@{host}:5432/flowmesh"},
        variables=(
            ("POSTGRES_USER", USER),
            ("POSTGRES_PASSWORD", "$(PASSWORD)"),
            ("POSTGRES_DB", "flowmesh"),
        ),
        folders=("/tmp", "/var/run/postgresql"),  # noqa: S108 folders of the image
    ),
    "redis": Kind(
        image="redis",
        version="7.4-alpine",
        port=6379,
        user=999,
        data="/data",
        outputs={"url": "redis://:{password}@{host}:6379"},
        arguments=("redis-server", "--appendonly", "yes", "--requirepass", "$(PASSWORD)"),
    ),
    "nats": Kind(
        image="nats",
        version="2.12-alpine",
        port=4222,
        user=1000,
        data="/data",
        outputs={"url": "nats://{user}:{password}@{host}:4222"},
        arguments=(
            *("--jetstream", "--store_dir", "/data"),
            *("--user", USER, "--pass", "$(PASSWORD)"),
        ),
    ),
    "bucket": Kind(
        image="versity/versitygw",
        version="v1.8.0",
        port=7070,
        user=1000,
        data="/data",
        outputs={
            "url": "http://{host}:7070",
            "bucket": "{name}",
            "accessKey": "{user}",
            "secretKey": "{password}",
        },
        # A bucket is a folder of its volume.
        command=("sh", "-c", "mkdir -p /data/$(BUCKET) && exec versitygw posix /data"),
        variables=(
            ("VGW_PORT", ":7070"),
            ("ROOT_ACCESS_KEY", USER),
            ("ROOT_SECRET_KEY", "$(PASSWORD)"),
        ),
    ),
}


def password_of(found: Object, seed: bytes) -> str:
    """Return the password of a server: always the same, so that a lost Secret can be made again."""
    uid = found["metadata"]["uid"]
    digest = hmac.new(seed, f"infrastructure/{uid}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode().rstrip("=")


def secret_name(found: Object) -> str:
    """Return the Secret with the outputs."""
    external = found["spec"].get("external")
    return str(external["secret"]) if external else f"{found['metadata']['name']}-address"


def missing_outputs(found: Object, data: Mapping[str, str] | None) -> list[str]:
    """Return the outputs that a Secret lacks."""
    wanted = applications.OUTPUTS[found["spec"]["kind"]]
    return [name for name in wanted if not (data or {}).get(name)]


def variables_of(found: Object) -> dict[str, dict[str, str]]:
    """Return name and key of the Secret for each variable of an App: NAME_URL and others."""
    name, secret = found["metadata"]["name"], secret_name(found)
    variables = applications.variables_of(name, found["spec"]["kind"])
    return {variable: {"name": secret, "key": key} for key, variable in variables.items()}


def secret(found: Object, password: str) -> dict[str, Any]:
    """Return the Secret with the outputs and the password of a server."""
    name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
    known = {
        "user": USER,
        "password": password,
        "host": f"{name}.{namespace}.svc",
        "name": name,
    }
    outputs = KINDS[found["spec"]["kind"]].outputs
    data = {key: template.format(**known) for key, template in outputs.items()}
    made = manifest(found, "v1", "Secret", secret_name(found), _labels(found), {"type": "Opaque"})
    made["stringData"] = data | {"password": password}
    if found["spec"]["deletionPolicy"] == "retain":
        # The volume that stays is of no use without its password.
        made["metadata"]["ownerReferences"] = []
    return made


def service(found: Object) -> dict[str, Any]:
    kind, labels = KINDS[found["spec"]["kind"]], _labels(found)
    spec = {
        "selector": labels,
        "ports": [{"name": "server", "port": kind.port, "targetPort": "server"}],
    }
    return manifest(found, "v1", "Service", found["metadata"]["name"], labels, {"spec": spec})


def stateful_set(found: Object) -> dict[str, Any]:
    """Return the server itself, with its volume."""
    spec, name, labels = found["spec"], found["metadata"]["name"], _labels(found)
    kind = KINDS[spec["kind"]]
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": spec["size"]}},
    }
    if spec.get("storageClass"):
        claim["storageClassName"] = spec["storageClass"]
    body = {
        "serviceName": name,
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "persistentVolumeClaimRetentionPolicy": {
            "whenDeleted": spec["deletionPolicy"].capitalize(),
            "whenScaled": "Retain",
        },
        "template": {"metadata": {"labels": labels}, "spec": _pod(found, kind)},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
    }
    return manifest(found, "apps/v1", "StatefulSet", name, labels, {"spec": body})


def _pod(found: Object, kind: Kind) -> dict[str, Any]:
    spec = found["spec"]
    folders = {f"folder-{number}": path for number, path in enumerate(kind.folders)}
    variables = {"BUCKET": found["metadata"]["name"], **dict(kind.variables)}
    container: dict[str, Any] = {
        "name": "server",
        "image": f"{spec.get('image') or kind.image}:{spec.get('version') or kind.version}",
        "env": [
            manifests.from_secret("PASSWORD", secret_name(found), "password"),
            *({"name": name, "value": value} for name, value in variables.items()),
        ],
        "ports": [{"name": "server", "containerPort": kind.port}],
        "readinessProbe": manifests.probe("server"),
        "resources": spec.get("resources") or {},
        "securityContext": manifests.CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "data", "mountPath": kind.data},
            *({"name": name, "mountPath": path} for name, path in folders.items()),
        ],
    }
    if kind.command:
        container["command"] = list(kind.command)
    if kind.arguments:
        container["args"] = list(kind.arguments)
    return {
        "automountServiceAccountToken": False,
        "securityContext": manifests.pod_security(kind.user),
        "containers": [container],
        "volumes": [{"name": name, "emptyDir": {}} for name in folders],
    }


def _labels(found: Object) -> dict[str, str]:
    name = found["metadata"]["name"]
    return {"app.kubernetes.io/name": name, manifests.INFRASTRUCTURE: name}
