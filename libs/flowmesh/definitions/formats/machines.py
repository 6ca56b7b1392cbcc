"""State machines as nodes: the compile target of the two open standards.

The value of such a machine is an object: `data` is the payload, other members belong to the
standard.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.model import (
    ITEM_NAMES,
    NO_RETRY,
    STATE_NAMES,
    Body,
    Catch,
    Dialect,
    Follow,
    GroupBody,
    MapBody,
    Node,
    StatesBody,
    Task,
)
from flowmesh.definitions.problems import Path, Problems, errors_in

STATE = "{{state}}"
ROOT = "main"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._:-]+")
_NUMBER_DIGITS = 10
_ID_CHARACTERS = limits.ID_CHARACTERS_MAX - 24


class Names:
    """Unique ids for the nodes of a workflow, as close to the wanted names as possible."""

    def __init__(self) -> None:
        self._taken = {ROOT}
        self._numbers: dict[str, int] = {}
        self._paths: set[Path] = set()

    def place(self, path: Path, node_id: str) -> Path:
        """Return a unique path for a node; nodes at the same path are distinguished by their
        ids.
        """
        path = path if path not in self._paths else (*path, node_id)
        self._paths.add(path)
        return path

    def new(self, wanted: str) -> str:
        base = _NOT_IN_IDS.sub("-", wanted)[:_ID_CHARACTERS] or "task"
        name, number = base, self._numbers.get(base, 1)
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._numbers[base] = number
        self._taken.add(name)
        return name


@dataclass(slots=True)
class Budget:
    """Remaining number of nodes of a document; each call of a function expands it."""

    problems: Problems
    left: int = limits.NODES_MAX

    def spend(self) -> None:
        self.left -= 1
        if self.left == -1:
            message = f"a workflow has at most {limits.NODES_MAX:,} nodes, this one has more"
            self.problems.add("GRAPH_TOO_LARGE", message)

    @property
    def exhausted(self) -> bool:
        return self.left < 0


@dataclass(slots=True)
class Machine:
    """The nodes of one state machine under construction."""

    names: Names
    budget: Budget
    # Task type of its tasks.
    executor: str
    path: Path
    in_map: bool = False
    nodes: list[Node] = field(default_factory=list)

    @property
    def bound(self) -> frozenset[str]:
        return STATE_NAMES | ITEM_NAMES if self.in_map else STATE_NAMES

    def inner(self, path: Path, *, in_map: bool = False) -> "Machine":
        """Return an empty machine for the body of a node."""
        return Machine(self.names, self.budget, self.executor, path, self.in_map or in_map)

    def add(self, node: Node) -> None:
        self.budget.spend()
        if not self.budget.exhausted:
            self.nodes.append(replace(node, path=self.names.place(node.path, node.id)))

    def task(
        self,
        node_id: str,
        config: dict[str, Json],
        follow: Follow,
        *,
        name: str = "",
        path: Path | None = None,
        given: Mapping[str, Json] | None = None,
        timeout_ms: int = 0,
    ) -> None:
        """Add a task for the worker; its input is the value of the machine and `given`."""
        path = self.path if path is None else path
        task = Task(self.executor, self.executor, config, Dialect.NATIVE, retry=NO_RETRY, path=path)
        self.add(
            Node(
                node_id,
                path,
                name=name or node_id,
                task=task,
                input={"state": STATE, **(given or {})},
                has_input=True,
                timeout_ms=timeout_ms,
                follow=follow,
                bound=self.bound,
            )
        )

    def route(self, node_id: str, targets: Iterable[str], path: Path, name: str = "") -> None:
        """Add a node that continues with the node named by `next` in the value."""
        self.add(
            Node(
                node_id,
                path,
                name=name or node_id,
                task=Task("noop", "builtin.noop", {}, Dialect.NATIVE, retry=NO_RETRY),
                input={"next": "{{state.next}}"},
                has_input=True,
                follow=Follow(chooses=True, among=tuple(dict.fromkeys(targets))),
                bound=self.bound,
            )
        )

    def step(self, node_id: str, following: str, path: Path, name: str = "") -> None:
        """Add a node without work: the mark of a block in the history."""
        task = Task("noop", "noop", {}, Dialect.NATIVE)
        follow = Follow(following, keeps=True)
        self.add(Node(node_id, path, name=name or node_id, task=task, follow=follow))

    def timer(
        self, node_id: str, duration: int | str, following: str, path: Path, name: str = ""
    ) -> None:
        """Add a durable timer: ms, an instant, or a template of either."""
        self.add(
            Node(
                node_id,
                path,
                name=name or node_id,
                task=Task("delay", "delay", {}, Dialect.NATIVE),
                input={"duration": duration},
                has_input=True,
                follow=Follow(following, keeps=True),
                bound=self.bound,
            )
        )

    def body(self, node_id: str, body: Body, follow: Follow, path: Path, name: str = "") -> None:
        """Add a node with a body; the items of a map are `state.items`."""
        is_map = isinstance(body, MapBody)
        self.add(
            Node(
                node_id,
                path,
                name=name or node_id,
                input="{{state.items}}" if is_map else None,
                has_input=is_map,
                body=body,
                follow=follow,
                bound=self.bound,
            )
        )

    def as_node(self, node_id: str, start: str, given: Json = STATE, name: str = "") -> Node:
        """Return this machine as a node with the initial value `given`."""
        if not start and not errors_in(self.budget.problems.found):
            message = "there is no node to run"
            self.budget.problems.add("GRAPH_EMPTY", message, self.path)
        place = self.names.place(self.path, node_id)
        return Node(
            node_id,
            place,
            name=name or node_id,
            body=StatesBody(tuple(self.nodes), start, place),
            input=given,
            has_input=True,
            bound=self.bound,
        )

    def pass_through(self, path: Path, name: str) -> Node:
        """Return a machine without work for a group, so that the value before it is an output."""
        keeper = self.inner((*path, "value"))
        start = self.names.new(f"{name}:value")
        keeper.step(start, "", path)
        return keeper.as_node(self.names.new(f"{name}:before"), start)

    def group_with_input(self, nodes: Iterable[Node], path: Path, name: str) -> GroupBody:
        """Return the nodes with the value before them as a group: outputs are `[value,
        output, …]`.
        """
        return GroupBody((self.pass_through(path, name), *nodes), path)


def subworkflow(
    workflow: str, version: str, *, waits: bool, path: Path, child_id: str = ""
) -> Task:
    """Return another workflow as a task; its name and its id may be templates."""
    number = version.isascii() and version.isdecimal() and len(version) < _NUMBER_DIGITS
    known: Json = int(version) if number else version
    config: dict[str, Json] = {
        "workflow": workflow,
        "version": known,
        "wait": waits,
        "onCancel": "CANCEL",
    }
    if child_id:
        config["id"] = child_id
    kind = "subworkflow"
    return Task(kind, kind, config, Dialect.NATIVE, retry=NO_RETRY, config_path=path)


def catch_all(target: str) -> tuple[Catch, ...]:
    """Return a catch of every failure that leads to `target`; none if it is empty."""
    return (Catch(("*",), target),) if target else ()
