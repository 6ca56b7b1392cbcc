"""Parts that the objects of an App and of an Infrastructure share. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from flowmesh.definitions.editor.kubernetes import GROUP
from flowmesh.definitions.formats.native.resources import API_VERSION
from flowmesh.operator.kinds import Object

APP: Final = f"{GROUP}/app"
INFRASTRUCTURE: Final = f"{GROUP}/infrastructure"
COLOUR: Final = f"{GROUP}/colour"
RELEASE: Final = f"{GROUP}/release"
SWITCHED: Final = f"{GROUP}/switched-at"
CONTAINER_SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


def manifest(
    owner: Object,
    api_version: str,
    kind: str,
    name: str,
    labels: Mapping[str, str],
    body: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return an object that goes with its owner."""
    metadata = owner["metadata"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {"app.kubernetes.io/managed-by": "flowmesh", **labels},
            "annotations": dict(annotations or {}),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": owner["kind"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                }
            ],
        },
        **body,
    }


def is_of(owner: Object, found: Object) -> bool:
    """Return whether an object belongs to an owner."""
    references = found["metadata"].get("ownerReferences") or []
    return any(each.get("uid") == owner["metadata"]["uid"] for each in references)


def pod_security(user: int) -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def from_secret(variable: str, secret: str, key: str) -> dict[str, Any]:
    """Return a variable whose value is a key of a Secret."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def probe(port: str, path: str = "") -> dict[str, Any]:
    """Return a probe of a path, or of the port without one."""
    if path:
        return {"httpGet": {"path": path, "port": port}, "periodSeconds": 2}
    return {"tcpSocket": {"port": port}, "periodSeconds": 2}
