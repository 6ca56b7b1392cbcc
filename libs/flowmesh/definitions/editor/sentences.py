"""Descriptions of members of the native format whose schema has none.

They are keyed by member, or by object and member if the name is ambiguous.
"""

from collections.abc import Mapping
from typing import Final

from flowmesh.tasktypes import TASK_TYPES

_MEMBERS: Final[Mapping[str, str]] = {
    "apiVersion": "The version of the format.",
    "kind": "The kind of the resource.",
    "metadata": "The identity of the resource.",
    "metadata.name": "The name; registering it again creates a new version.",
    "labels": "Labels by which definitions are found.",
    "annotations": "Data of other tools; ignored by Flowmesh.",
    "namespace": "The namespace; by default that of the request.",
    "spec": "The content of the resource.",
    "description": "A description for people.",
    "tasks": "The tasks, each with its own id; they run in the order of their dependencies.",
    "inputSchema": "JSON Schema of the input, checked before anything runs.",
    "outputSchema": "JSON Schema of the output, checked before it is used.",
    "start": "The start policy: delays, and the number of executions per key.",
    "limits": "Limits on the dispatch of its tasks.",
    "triggers": "Starts by schedules, events, webhooks, messages of queues, changes of tables.",
    "compensation.onFailure": "Compensate completed tasks if the execution fails.",
    "compensation.onCancel": "Compensate if the execution is canceled.",
    "compensation.onTerminate": "Compensate if the execution is terminated.",
    "compensation.order": "The order of compensation.",
    "type": "The type.",
    "start.onConflict": "Treatment of a start that exceeds `concurrency`.",
    "schema": "JSON Schema of the values.",
    "id": "The id in the workflow, used in references, events and errors.",
    "name": "A display name.",
    "join": "The condition of a task with several incoming edges.",
    "join.mode": "Start at one taken edge, or wait for all.",
    "undo": "The task that compensates this one after its completion.",
    "retry": "The number and delays of retries.",
    "priority": "The priority among ready tasks.",
    "queue": "The queue of the task; workers choose the queues that they serve.",
    "approval.deadline": "The time for a decision.",
    "approval.onDeadline": "The outcome without a decision before the deadline.",
    "approval.onReject": "The effect of a rejection.",
    "initialDelay": "The delay before the second attempt.",
    "multiplier": "The factor between consecutive delays.",
    "maxDelay": "The maximum delay.",
    "maxPages": "The maximum number of pages.",
    "pages.taskRef": "The task that fetches a page.",
    "undo.taskRef": "The task to run.",
    "concurrency": "The number of items that run at once.",
    "tolerate.count": "The number of items that may fail.",
    "tolerate.share": "The share of the items that may fail.",
    "rounds": "The maximum number of rounds.",
    "catch": "The handlers for failures of the tasks.",
    "errors": "The failure classes of the handler; all by default.",
    "cron": "Starts executions by a schedule.",
    "cron.catchUp": "The missed instants that still fire.",
    "cron.catchUpMax": "The maximum number of missed instants that fire.",
    "event": "Starts executions for events.",
    "webhook": "Starts executions for calls of a URL.",
    "change": "Starts executions for changes of the rows of a table.",
    "triggers.queue": "Starts executions for messages of a queue of the namespace.",
    "change.operations": "The changes that fire; all by default.",
    "path": "The last segment of the URL; by default workflow and id.",
    "provider": "The sender, which determines the signature scheme.",
    "payloadSchema": "JSON Schema of the body; other bodies are rejected.",
    "method": "The HTTP method.",
    "mcp.headers": "Headers of the requests to the server; values are templates.",
    "grpc.method": "The method, as package.Service/Method.",
    "url": "The URL; a template.",
    "headers": "Headers by name; values are templates.",
    "body": "The body; templates, sent as JSON unless it is a string.",
    "config": "The configuration of the type.",
    "transform.function": "The function of a [plugin](plugins.md) of the kind `transform`.",
    "transform.pipeline": "Operations, applied in order: see [transforms](transforms.md).",
    "duration": "The duration of the wait, optionally a template.",
    "webhook.payload": "The body; templates.",
    "conditions": "The conditions, in order.",
    "match": "Name the first condition that holds, or all of them.",
    "language": "The language of the code or expression.",
    "level": "The log level.",
    "fields": "Additional fields of the log line; templates.",
    "grpc.metadata": "Metadata by name; values are templates.",
    "task": "The node to depend on.",
    "of": "The allowed names.",
    "authentication.type": "The scheme.",
    "authentication.config": "The configuration of the scheme.",
    "username": "The user name; a template.",
    "password": "The password; a template.",
    "token": "The token; a template.",
    "authentication.name": "The header or query parameter for the key.",
    "value": "The key; a template.",
    "in": "The place of the key: header or query.",
    "tokenUrl": "The URL that issues tokens.",
    "clientId": "The id of the client.",
    "clientSecret": "The secret of the client; a template.",
    "authentication.scope": "The requested scope of the token.",
    "audience": "The audience of the token.",
    "grantType": "The grant type of the token request.",
    "tls": "Encrypt the connection.",
    "memoryMiB": "The memory limit, in MiB.",
    "cpuSeconds": "The CPU time limit, in seconds.",
    "outputBytes": "The size limit of the output, in bytes.",
    "cache.scope": "The tasks that share the result.",
}


def _blocks() -> dict[str, str]:
    """Return the sentences of blocks with the summaries of the built-in types that have them."""
    found: dict[str, str] = {}
    for each in TASK_TYPES.values():
        if each.block:
            key = f"spec.{each.block}"
            known = found.get(key) or _MEMBERS.get(key)
            found[key] = " ".join(filter(None, (known, each.summary)))
    return found


SENTENCES: Final[Mapping[str, str]] = {**_MEMBERS, **_blocks()}


def sentence_key(path: str, name: str) -> str:
    """Return the key of a member of the object at a path. Raises KeyError without a sentence.

    In a path, `[]` is an item, `.*` a value, and a suffix in parentheses tells objects apart.
    """
    parent = parent_of(path)
    key = f"{parent}.{name}" if f"{parent}.{name}" in SENTENCES else name
    if key not in SENTENCES:
        text = f"{path}.{name} has no description, neither in the schema nor in {__name__}"
        raise KeyError(text)
    return key


def parent_of(path: str) -> str:
    """Return the member name of an object."""
    words = path.replace("[]", "").replace(".*", "").split(" ")[0]
    return words.rpartition(".")[2]
