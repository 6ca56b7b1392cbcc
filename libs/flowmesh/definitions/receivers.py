"""Nodes that wait for a call of their own URL, and nodes that wait for a signal."""

from typing import Final

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definitions.builtins import RECEIVE
from flowmesh.definitions.formats.triggers import read_receiver
from flowmesh.definitions.model import ITEM_NAMES, Node, Task
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.definitions.trigger_messages import receiver_message
from flowmesh.definitions.triggers import Receiver

# Prefix of the signal that carries the calls of a receiving node.
_SIGNAL: Final = "webhook:"


def set_signal(planned: plan_pb2.PlanNode, node: Node, task: Task) -> None:
    """Set the signal of a node in the plan."""
    planned.kind = plan_pb2.NODE_KIND_SIGNAL
    planned.input_mode = plan_pb2.INPUT_MODE_NONE
    if task.executor == RECEIVE:
        planned.signal = _SIGNAL + node.id
        receiver = receiver_of(node, Problems())
        planned.receiver.CopyFrom(receiver_message(receiver))
        return
    planned.signal = str((task.config or node.input)["name"])
    if "receiver" in task.config:
        planned.receiver.CopyFrom(receiver_message(Receiver(**task.config["receiver"])))


def receiver_of(node: Node, problems: Problems) -> Receiver:
    """Return the receiver of a `webhook.receive`, read from its constant input."""
    given: Json = node.input if node.has_input else {}
    path: Path = (*node.path, "input")
    if not isinstance(given, dict):
        message = f"the input of {RECEIVE} is an object, not {kind_of(given)}"
        problems.add("DEFINITION_INVALID", message, path)
        given = {}
    reader = Reader(given, path, problems)
    receiver = read_receiver(reader)
    reader.refuse_unknown()
    if node.bound & ITEM_NAMES:
        message = f"a {RECEIVE} for each item of a map would have one URL for all of them"
        problems.add("FEATURE_UNSUPPORTED", message, (*node.path, "taskRef"))
    return receiver
