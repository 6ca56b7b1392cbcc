"""The objects of an App: a Deployment for each colour, Services, and an autoscaler. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from flowmesh.operator.kinds import Object
from flowmesh.operator.provisioning import manifests
from flowmesh.operator.provisioning.manifests import manifest

FOLDER: Final = "/app"
USER: Final = 10001
# Members of a spec that change without a new release.
_STEADY: Final = ("active", "replicas", "scaling", "strategy")
_NAME_LABEL: Final = "app.kubernetes.io/name"


def release_of(app: Object, image: str) -> str:
    """Return the digest of what the pods of an App run."""
    spec = {name: value for name, value in app["spec"].items() if name not in _STEADY}
    text = orjson.dumps([spec, image], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def labels_of(app: Object, colour: str = "") -> dict[str, str]:
    name = app["metadata"]["name"]
    labels = {_NAME_LABEL: name, manifests.APP: name}
    return labels | {manifests.COLOUR: colour} if colour else labels


def document_map(app: Object, colour: str) -> dict[str, Any] | None:
    """Return the ConfigMap with the document and the files of a colour; None without a source."""
    source = app["spec"].get("source")
    if source is None:
        return None
    # A key has no slash: a file has the number of its path.
    files = {
        f"file-{number}": text
        for number, (_, text) in enumerate(sorted((source.get("files") or {}).items()))
    }
    data = {"app.yaml": source["document"], **files}
    return manifest(
        app, "v1", "ConfigMap", _named(app, colour), labels_of(app, colour), {"data": data}
    )


def deployment(
    app: Object, colour: str, *, image: str, replicas: int, secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the Deployment of a colour; `secrets` has name and key of each variable."""
    labels = labels_of(app, colour)
    release = {manifests.RELEASE: release_of(app, image)}
    template = {
        "metadata": {"labels": {"app.kubernetes.io/managed-by": "flowmesh", **labels}},
        "spec": _pod(app, colour, image, secrets),
    }
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": template,
    }
    return manifest(
        app, "apps/v1", "Deployment", _named(app, colour), labels, {"spec": spec}, release
    )


def _pod(
    app: Object, colour: str, image: str, secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    spec = app["spec"]
    source = spec.get("source")
    variables = [
        *(manifests.from_secret(name, each["name"], each["key"]) for name, each in secrets.items()),
        *({"name": name, "value": value} for name, value in (spec.get("env") or {}).items()),
    ]
    container: dict[str, Any] = {
        "name": "app",
        "image": spec.get("image") or image,
        "env": variables,
        "envFrom": [{"secretRef": {"name": each}} for each in spec.get("secrets") or []],
        "ports": [{"name": "http", "containerPort": spec["port"]}],
        "readinessProbe": manifests.probe("http", spec.get("readyPath") or ""),
        # Connections of the old colour end before its pods do.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": spec.get("resources") or {},
        "securityContext": manifests.CONTAINER_SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 of the pod
    }
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if source is not None:
        container["command"] = ["flowmesh", "app", "run", f"{FOLDER}/app.yaml", "--public"]
        container["volumeMounts"].append({"name": "document", "mountPath": FOLDER})
        volumes.append({"name": "document", "configMap": _items(app, colour, source)})
    if spec.get("command"):
        container["command"] = spec["command"]
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 40,
        "securityContext": manifests.pod_security(USER),
        "containers": [container],
        "volumes": volumes,
    }


def _items(app: Object, colour: str, source: Mapping[str, Any]) -> dict[str, Any]:
    items = [{"key": "app.yaml", "path": "app.yaml"}]
    for number, path in enumerate(sorted(source.get("files") or {})):
        items.append({"key": f"file-{number}", "path": path})
    return {"name": _named(app, colour), "items": items}


def service(app: Object, colour: str, switched: str = "") -> dict[str, Any]:
    """Return the Service of an App whose traffic a colour has since a time.

    Without a time it is that of the colour alone, by which it is checked.
    """
    spec = {
        "selector": labels_of(app, colour),
        "ports": [{"name": "http", "port": app["spec"]["port"], "targetPort": "http"}],
    }
    name = app["metadata"]["name"] if switched else _named(app, colour)
    annotations = {manifests.SWITCHED: switched} if switched else {}
    return manifest(app, "v1", "Service", name, labels_of(app), {"spec": spec}, annotations)


def autoscaler(app: Object, colour: str) -> dict[str, Any] | None:
    """Return the autoscaler of the colour with the traffic; None for a number of replicas."""
    scaling = app["spec"].get("scaling")
    if scaling is None:
        return None
    cpu = {"type": "Utilization", "averageUtilization": scaling["cpuPercent"]}
    spec = {
        "scaleTargetRef": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": _named(app, colour),
        },
        "minReplicas": scaling["minReplicas"],
        "maxReplicas": scaling["maxReplicas"],
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": cpu}}],
    }
    name = app["metadata"]["name"]
    return manifest(
        app, "autoscaling/v2", "HorizontalPodAutoscaler", name, labels_of(app), {"spec": spec}
    )


def replicas_of(app: Object, present: int) -> int:
    """Return the pods of a colour; an autoscaler's number stays."""
    scaling = app["spec"].get("scaling")
    if scaling is None:
        return int(app["spec"]["replicas"])
    return max(present, int(scaling["minReplicas"]))


def _named(app: Object, colour: str) -> str:
    return f"{app['metadata']['name']}-{colour}"
