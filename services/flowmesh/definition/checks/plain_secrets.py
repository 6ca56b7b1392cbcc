"""Secrets of triggers and callbacks in plain text, which a closed installation refuses.

Everyone who can read a definition would see them. In an open installation they are a warning.
"""

from collections.abc import Iterator

from flowmesh.definitions import Problem, Reading, Workflow
from flowmesh.definitions.builtins import RECEIVE
from flowmesh.definitions.model import every_node
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.receivers import receiver_of
from flowmesh.definitions.triggers import Webhook
from flowmesh.expressions.secrets import is_secret_reference

_MESSAGE = (
    "the secret stands in plain text, where everyone who can read the definition sees it; store it"
    " with `flowmesh secrets set`, and write secret://name"
)


def plain_secrets(reading: Reading) -> tuple[Problem, ...]:
    """Return an error for each secret of a trigger, a waiting node or callbacks."""
    found = [
        Problem("LINT_SECRET", _MESSAGE, path, read.number)
        for read in reading.resources
        if isinstance(read.resource, Workflow)
        for path, secret in _secrets(read.resource)
        if secret and not is_secret_reference(secret)
    ]
    return reading.source.place(found) if reading.source else tuple(found)


def _secrets(workflow: Workflow) -> Iterator[tuple[Path, str]]:
    # Only the format of steps has callbacks.
    yield ("webhooks", "secret"), workflow.callbacks.secret
    for trigger in workflow.triggers:
        if isinstance(trigger.source, Webhook):
            yield (*trigger.path, "secret"), trigger.source.receiver.secret
    for node in every_node(workflow.nodes):
        if node.task_ref == RECEIVE:
            yield (*node.path, "input", "secret"), receiver_of(node, Problems()).secret
        elif node.task is not None and "receiver" in node.task.config:
            yield node.path, str(node.task.config["receiver"].get("secret", ""))
