"""Structural schemas of the resources App and Infrastructure.

Unlike those of definitions they are closed: the API server itself names an unknown member.
"""

import re
from collections.abc import Mapping
from typing import Final

from flowmesh.definitions.editor.parts import Schema

_NAMES: Final[Schema] = {
    "type": "array",
    "maxItems": 20,
    "items": {"type": "string", "minLength": 1, "maxLength": 63},
}
_COLOUR: Final[Schema] = {"type": "string", "enum": ["blue", "green"]}
_OPEN_OBJECT: Final[Schema] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _text(description: str, **more: object) -> Schema:
    return {"type": "string", "minLength": 1, "description": description, **more}


def _number(description: str, least: int, most: int, default: int) -> Schema:
    return {
        "type": "integer",
        "description": description,
        "minimum": least,
        "maximum": most,
        "default": default,
    }


_SOURCE: Final[Schema] = {
    "type": "object",
    "description": "A YAML application, as `flowmesh app run` takes it.",
    "required": ["document"],
    "properties": {
        "document": _text("The document of the application."),
        "files": {
            "type": "object",
            "description": "Files beside the document, by their relative paths.",
            "maxProperties": 200,
            "additionalProperties": {"type": "string"},
        },
    },
}
_CHECK: Final[Schema] = {
    "type": "object",
    "x-kubernetes-validations": [
        {
            "rule": "has(self.http) != has(self.workflow)",
            "message": "a check has either http or workflow",
        }
    ],
    "properties": {
        "http": {
            "type": "object",
            "description": "A request to the colour.",
            "required": ["path"],
            "properties": {"path": _text("Path that answers 2xx.", pattern="^/")},
        },
        "workflow": _text("Workflow that completes; its input has `address`, `app`, `colour`."),
    },
}
_STRATEGY: Final[Schema] = {
    "type": "object",
    "description": "The change from one colour to the other.",
    "properties": {
        "keepSeconds": _number(
            "Time for which the old colour keeps its pods after a switch.", 0, 604_800, 600
        ),
        "checks": {
            "type": "array",
            "description": "Checks of a new colour that is ready, before it gets traffic.",
            "maxItems": 10,
            "items": _CHECK,
        },
    },
}
_SCALING: Final[Schema] = {
    "type": "object",
    "description": "Replicas by CPU, in place of `replicas`.",
    "required": ["maxReplicas"],
    "properties": {
        "minReplicas": _number("Fewest replicas.", 1, 1_000, 1),
        "maxReplicas": {
            "type": "integer",
            "description": "Most replicas.",
            "minimum": 1,
            "maximum": 1_000,
        },
        "cpuPercent": _number("Wanted use of the requested CPU.", 1, 1_000, 70),
    },
}
# The outputs of each kind of Infrastructure, which become variables of Apps.
OUTPUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "postgres": ("url",),
    "redis": ("url",),
    "nats": ("url",),
    "bucket": ("url", "bucket", "accessKey", "secretKey"),
}
_SUFFIXES: Final = {"accessKey": "ACCESS_KEY", "secretKey": "SECRET_KEY"}


def variables_of(name: str, kind: str) -> dict[str, str]:
    """Return the variable of each output of an Infrastructure: ORDERS_URL and others."""
    prefix = re.sub("[^A-Za-z0-9]", "_", name).upper()
    return {each: f"{prefix}_{_SUFFIXES.get(each, each.upper())}" for each in OUTPUTS[kind]}


APP: Final[Schema] = {
    "type": "object",
    "x-kubernetes-validations": [
        {
            "rule": "has(self.source) || has(self.image)",
            "message": "an App has a source, an image, or both",
        }
    ],
    "properties": {
        "source": _SOURCE,
        "image": _text("Image of the application; with `source`, the image of Flowmesh."),
        "command": {
            "type": "array",
            "description": "Program and arguments, in place of those of the image or the source.",
            "maxItems": 100,
            "items": {"type": "string"},
        },
        "port": _number("Port on which the application listens.", 1, 65_535, 8080),
        "readyPath": _text("Path that answers 200 once it can serve; else its port is tried.")
        | {"pattern": "^/"},
        "replicas": _number("Pods of a colour.", 1, 1_000, 1),
        "scaling": _SCALING,
        "env": {
            "type": "object",
            "description": "Variables by name.",
            "maxProperties": 200,
            "additionalProperties": {"type": "string"},
        },
        "secrets": {**_NAMES, "description": "Secrets whose keys become variables."},
        "infrastructure": {
            **_NAMES,
            "description": "Infrastructure whose outputs become variables: NAME_URL.",
        },
        "resources": {**_OPEN_OBJECT, "description": "Requests and limits of a pod."},
        "active": {
            **_COLOUR,
            "description": "Colour that gets the traffic, whatever the spec says: the old one is an"
            " instant rollback. Without it, the newest spec gets the traffic.",
        },
        "strategy": _STRATEGY,
    },
}
INFRASTRUCTURE: Final[Schema] = {
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": {
            "type": "string",
            "description": "The server; it cannot change.",
            "enum": list(OUTPUTS),
            "x-kubernetes-validations": [
                {"rule": "self == oldSelf", "message": "the kind cannot change"}
            ],
        },
        "version": _text("Tag of the image."),
        "image": _text("Image, in place of the usual one of the kind; `version` is its tag."),
        "size": _text("Size of its volume.", default="5Gi", pattern="^[0-9]+(Mi|Gi|Ti)$"),
        "storageClass": _text("Class of its volume; by default that of the cluster."),
        "resources": {**_OPEN_OBJECT, "description": "Requests and limits of its pod."},
        "deletionPolicy": {
            "type": "string",
            "enum": ["delete", "retain"],
            "default": "retain",
            "description": "Whether its volume goes with it.",
        },
        "external": {
            "type": "object",
            "description": "A server of yours, in place of one that is started.",
            "required": ["secret"],
            "properties": {"secret": _text("Secret with the outputs of the kind, such as `url`.")},
        },
    },
}
APP_STATUS: Final[Schema] = {
    "colour": {"type": "string", "description": "Colour that has the traffic."},
    "next": {"type": "string", "description": "Colour that has the newest spec."},
    "release": {"type": "string", "description": "Digest of what has the traffic."},
}
INFRASTRUCTURE_STATUS: Final[Schema] = {
    "secret": {"type": "string", "description": "Secret with the outputs."},
}
