"""Structural schemas of the resources AgentSpec and ScalingPolicy.

Their members are those of the bodies of REST. They are closed: the API server itself names an
unknown member. Limits of processes and open files are no part of them, since pods have none.
"""

from collections.abc import Mapping
from typing import Any, Final

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.definitions.editor.parts import Schema

COUNT_MAX: Final = 500
_MILLISECONDS_MAX: Final = 3_600_000
_WEEK_MS: Final = 7 * 24 * 3_600_000
_BYTES_MAX: Final = 2**50


def _words(enum: Any) -> list[str]:
    """Return the values of an enum as REST writes them."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return [name.removeprefix(prefix).lower() for name in enum.keys()[1:]]


WORDS: Final[Mapping[str, Any]] = {
    "isolation": agent_pb2.Isolation,
    "health": agent_pb2.AgentHealth,
    "strategy": agent_pb2.ScalingStrategy,
}
"""The enums of the members that are words."""


def _number(most: int, text: str, **more: object) -> Schema:
    kept = {"type": "integer", "format": "int64", "minimum": 0, "maximum": most}
    return {**kept, "description": text, **more}


def _word(name: str, text: str) -> Schema:
    return {"type": "string", "enum": _words(WORDS[name]), "description": text}


def _list(text: str, most: int, **more: object) -> Schema:
    items = {"type": "string", "minLength": 1}
    return {"type": "array", "maxItems": most, "items": items, "description": text, **more}


def _texts(text: str, most: int) -> Schema:
    values = {"type": "string"}
    kept = {"type": "object", "maxProperties": most, "additionalProperties": values}
    return {**kept, "description": text}


AGENT_SPEC: Final[Schema] = {
    "type": "object",
    "required": ["command"],
    "properties": {
        "command": _list("Program and arguments.", 100, minItems=1),
        "files": _texts("Text files in the working folder, by relative path.", 50),
        "environment": _texts("Variables.", 100),
        "queues": _list("Queues of its tasks, for which its credential is.", 20),
        "taskTypes": _list("Types of its tasks; empty is all types of its queues.", 20),
        "slots": _number(1_000, "Tasks at once; 0 is 1."),
        "replicas": _number(COUNT_MAX, "Agents without a policy that decides.", default=0),
        "limits": {
            "type": "object",
            "description": "Requests and limits of each pod.",
            "properties": {
                "cpu": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 256,
                    "description": "Processors, such as 0.5; 0 is unlimited.",
                },
                "memoryBytes": _number(_BYTES_MAX, "Memory; 0 is unlimited."),
                "diskBytes": _number(_BYTES_MAX, "Files that it writes; 0 is unlimited."),
            },
        },
        "isolation": _word("isolation", "Least isolation; a pod is a sandbox."),
        "health": _word("health", "What makes an agent ready; by default heartbeats."),
        "startTimeoutMs": _number(_MILLISECONDS_MAX, "Time to become ready; 0 is 30 s."),
        "drainTimeoutMs": _number(_MILLISECONDS_MAX, "Time to complete tasks; 0 is 30 s."),
        "secrets": _list("Names of the secrets that its tasks may hand to it.", 20),
        "connections": {
            "type": "object",
            "description": "Its only connections beside those to the suite; refused for pods.",
            "properties": {"endpoints": _list("Endpoints, as host:port.", 20)},
        },
    },
}
AGENT_SPEC_STATUS: Final[Schema] = {
    "version": {"type": "integer", "description": "Its version in the suite."},
    "replicas": {"type": "integer", "description": "Agents that are wanted."},
    "readyReplicas": {"type": "integer", "description": "Agents that are ready."},
    "selector": {"type": "string", "description": "Labels of the pods of its agents."},
}
SCALING_POLICY: Final[Schema] = {
    "type": "object",
    "required": ["agentSpec", "strategy"],
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.min) || !has(self.max) || self.min <= self.max",
            "message": "min is above max",
        }
    ],
    "properties": {
        "agentSpec": {
            "type": "string",
            "minLength": 1,
            "maxLength": 63,
            "description": "AgentSpec of the same namespace; it has one policy.",
        },
        "strategy": _word("strategy", "Figures that decide the number of agents."),
        "min": _number(COUNT_MAX, "Fewest agents."),
        "max": _number(COUNT_MAX, "Most agents."),
        "waitTargetMs": _number(_MILLISECONDS_MAX, "Longest wait of a task; 0 is 5 s."),
        "utilizationPercent": _number(100, "Wanted use of the limits; 0 is 70."),
        "upCooldownMs": _number(_MILLISECONDS_MAX, "Pause after a step up; 0 is 5 s."),
        "downCooldownMs": _number(_MILLISECONDS_MAX, "Pause before a step down; 0 is 60 s."),
        "windowMs": _number(
            _MILLISECONDS_MAX, "Time whose highest wish holds a step down; 0 is 300 s."
        ),
        "idleAfterMs": _number(
            _MILLISECONDS_MAX, "Time without work after which no agent is left; 0 is 60 s."
        ),
        "gauge": {
            "type": "string",
            "maxLength": 64,
            "description": "Of auto: a gauge that agents report.",
        },
        "gaugeTarget": {
            "type": "number",
            "minimum": 0,
            "description": "Wanted mean of the gauge.",
        },
        "schedule": {
            "type": "array",
            "maxItems": 10,
            "description": "Least agents at times of the day or week.",
            "items": {
                "type": "object",
                "required": ["cron", "durationMs", "min"],
                "properties": {
                    "cron": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 256,
                        "description": "Instants from which on it holds.",
                    },
                    "timeZone": {
                        "type": "string",
                        "maxLength": 64,
                        "description": "Time zone of the expression; empty is UTC.",
                    },
                    "durationMs": _number(
                        _WEEK_MS, "Time for which it holds, from a minute on.", minimum=60_000
                    ),
                    "min": _number(COUNT_MAX, "Fewest agents.", minimum=1),
                },
            },
        },
    },
}
