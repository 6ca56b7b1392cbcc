"""Compiler from lists of Serverless Workflow tasks to nodes of a state machine.

Every task becomes one or several nodes; the first has its name. Successors are known before a task
is read, because a directive may lead anywhere in its list.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from flowmesh.contract.json_value import Json
from flowmesh.definitions.formats.machines import Machine, catch_all
from flowmesh.definitions.formats.serverless.values import (
    IN_TASK,
    Expressions,
    JsonObject,
    schema_of,
    timeout_of,
    unsupported,
)
from flowmesh.definitions.model import Follow
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.standards.jq_values import secrets_in, single, variables_in

# Parts of a task's configuration that are evaluated before its work.
BEFORE = ("input_schema", "from")
# Kinds that send their input to another service and store none of it.
_CALLING = ("call", "run")
_COMMON = ("if", "input", "output", "export", "timeout", "then", "metadata")


@dataclass(frozen=True, slots=True)
class Use:
    """Reusable definitions of a document."""

    authentications: Reader
    errors: Reader
    functions: Reader
    retries: Reader
    timeouts: Reader


@dataclass(frozen=True, slots=True)
class EnclosingScope:
    """The scope of a list of tasks: its successor, the target of `end`, and the handler of errors.

    `depth` is the number of open blocks, `names` the available variables. A list in a body of its
    own cannot end the workflow (`ends`).
    """

    after: str = ""
    end: str = ""
    catch: str = ""
    depth: int = 0
    names: frozenset[str] = frozenset()
    ends: bool = True
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskContext:
    """One task to compile: `entry` is the id of its first node, `after` that of its successor."""

    compiler: "Compiler"
    machine: Machine
    reader: Reader
    name: str
    kind: str
    entry: str
    after: str
    enclosing: EnclosingScope
    shape: JsonObject
    limit_ms: int
    target_of: Callable[[Reader, str], str]

    @property
    def path(self) -> Path:
        return self.reader.path

    @property
    def problems(self) -> Problems:
        return self.reader.problems

    @property
    def names(self) -> frozenset[str]:
        """Return the variables that the task's definition may use."""
        return IN_TASK | self.enclosing.names | {"input"}

    @property
    def call_names(self) -> frozenset[str]:
        """Return the variables that a request to a service may use, which is not stored."""
        return self.names | {"secrets"}

    @property
    def expressions(self) -> Expressions:
        return self.compiler.expressions

    def new(self, what: str) -> str:
        return self.machine.names.new(f"{self.name}:{what}")

    def refuse(self, feature: str, *below: str | int, why: str) -> None:
        unsupported(self.problems, feature, (*self.path, *below), why)

    def work(self, config: JsonObject) -> None:
        """Add the task as one node, with its input and output processing."""
        config = {**self.shape, **config}
        used = [secrets_in(program) for program in programs_of(config)]
        if any(names is None or names for names in used):
            declared = self.compiler.expressions.secrets
            config["secrets"] = sorted(
                declared if None in used else frozenset().union(*filter(None, used))
            )
        self.node(self.entry, config, self.after, timeout_ms=self.limit_ms)

    def node(
        self,
        node_id: str,
        config: JsonObject,
        following: str = "",
        *,
        machine: Machine | None = None,
        among: tuple[str, ...] = (),
        given: Mapping[str, Json] | None = None,
        timeout_ms: int = 0,
        catch: str | None = None,
    ) -> None:
        """Add a node for the worker; with `among` its output chooses the successor."""
        catches = catch_all(self.enclosing.catch if catch is None else catch)
        follow = Follow(following, catches)
        if among:
            among = tuple(dict.fromkeys(name for name in among if name))
            follow = Follow("", catches, chooses=True, among=among)
        config = {"name": self.name, "at": self.compiler.place(node_id, self.path), **config}
        used = programs_of(config)
        extra = dict(given or {})
        if any("workflow" in variables_in(program) for program in used):
            extra |= {"execution": "{{execution.id}}", "input": "{{input}}"}
            if any("definition" in program for program in used):
                config["definition"] = self.compiler.document
        if any("task" in variables_in(p) and "definition" in p for p in used):
            config["task"] = self.reader.value
        target = machine or self.machine
        name = self.name if node_id == self.entry else node_id
        path, limit = self.path, timeout_ms
        target.task(node_id, config, follow, name=name, path=path, given=extra, timeout_ms=limit)


def programs_of(config: JsonObject) -> list[str]:
    """Return the jq programs of a task's configuration, at its top or one level below."""
    found = []
    for value in config.values():
        if isinstance(value, dict):
            found += [program for key, program in value.items() if key == "jq"]
            found += [v["jq"] for v in value.values() if isinstance(v, dict) and "jq" in v]
    return found


CompileTask = Callable[[TaskContext], None]


class Compiler:
    """The compiler of one document. `kinds` holds the function per kind of task, by the member that
    names it; `decides_itself` tests for single nodes with a condition.
    """

    def __init__(
        self,
        document: dict[str, Json],
        expressions: Expressions,
        use: Use,
        kinds: Mapping[str, CompileTask],
        decides_itself: Callable[[str, dict[str, Json]], bool],
    ) -> None:
        self.document = document
        self.expressions = expressions
        self.use = use
        self.problems = expressions.problems
        self._kinds = kinds
        self._decides_itself = decides_itself
        # JSON pointers of all tasks by the ids of their nodes.
        self.places: dict[str, str] = {}

    def place(self, node_id: str, path: Path) -> str:
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
        return self.places.setdefault(node_id, "/" + "/".join(parts))

    def tasks(self, machine: Machine, given: Json, path: Path, enclosing: EnclosingScope) -> str:
        """Compile a list; return the id of its first node, empty if there is none."""
        items = self._items(given, path)
        if not items:
            return enclosing.after
        entries = {name: machine.names.new(name) for name, _, _ in items}
        order = list(entries.values())
        for number, (name, definition, place) in enumerate(items):
            if machine.budget.exhausted:
                break
            following = order[number + 1] if number + 1 < len(order) else enclosing.after
            self._one(machine, name, definition, place, entries, following, enclosing)
        return order[0]

    def single(
        self, machine: Machine, name: str, definition: Json, path: Path, enclosing: EnclosingScope
    ) -> str:
        """Compile one task; return the id of its first node."""
        entry = machine.names.new(name)
        self._one(machine, name, definition, path, {name: entry}, enclosing.after, enclosing)
        return entry

    def _items(self, given: Json, path: Path) -> list[tuple[str, Json, Path]]:
        if not isinstance(given, list):
            message = f"tasks are a list of {{name: task}}, not {kind_of(given)}"
            self.problems.add("DEFINITION_INVALID", message, path, at_key=given is None)
            return []
        if not given:
            self.problems.add("GRAPH_EMPTY", "the list needs at least one task", path)
        found: dict[str, tuple[str, Json, Path]] = {}
        for index, item in enumerate(given):
            if not isinstance(item, dict) or len(item) != 1:
                message = "an item is an object with one member: the name and the task"
                self.problems.add("DEFINITION_INVALID", message, (*path, index))
                continue
            [(name, definition)] = item.items()
            if name in found:
                message = f"the name {name!r} is taken by another task of this list"
                self.problems.add("GRAPH_DUPLICATE_NODE", message, (*path, index), at_key=True)
                continue
            found[name] = (name, definition, (*path, index, name))
        return list(found.values())

    def _one(
        self,
        machine: Machine,
        name: str,
        definition: Json,
        path: Path,
        entries: Mapping[str, str],
        following: str,
        enclosing: EnclosingScope,
    ) -> None:
        if not isinstance(definition, dict):
            message = f"a task is an object, not {kind_of(definition)}"
            self.problems.add("DEFINITION_INVALID", message, path)
            return
        reader = Reader(definition, path, self.problems)
        kind = self._kind(reader)
        shape = self._shape(reader, kind, enclosing)

        def target_of(holder: Reader, otherwise: str) -> str:
            return self._directive(holder, otherwise, entries, following, enclosing)

        after = target_of(reader, following)
        limit = timeout_of(reader, self.use.timeouts)
        entry = entries[name]
        context = TaskContext(
            self, machine, reader, name, kind, entry, after, enclosing, shape, limit, target_of
        )
        self.place(entry, path)
        conditional = self._decides_itself(kind, definition)
        if "if" in shape and (not conditional or after != following):
            context = _guarded(context, following)
        if kind:
            self._kinds[kind](context)
        reader.raw("metadata")
        reader.refuse_unknown()

    def _kind(self, reader: Reader) -> str:
        found = [kind for kind in self._kinds if kind in reader.value]
        # `for` has a `do` of its own.
        if "for" in found and "do" in found:
            found.remove("do")
        if len(found) == 1:
            return found[0]
        if not found:
            named = ", ".join(self._kinds)
            message = f"this task is of no known kind; it needs one of {named}"
        else:
            message = f"a task is of one kind, this one of {' and '.join(found)}"
        self.problems.add("DEFINITION_INVALID", message, reader.path)
        for key in found:
            reader.has(key)
        return ""

    def _shape(self, reader: Reader, kind: str, enclosing: EnclosingScope) -> JsonObject:
        """Return the input and output processing of a task."""
        make, names, path = self.expressions, IN_TASK | enclosing.names, reader.path
        shape: JsonObject = {}
        if condition := reader.text("if", most=1 << 16):
            shape["if"] = make.expression(condition, (*path, "if"), names)
        compile_body = (
            ("input", "from", names),
            ("output", "as", names | {"input"}),
            ("export", "as", names | {"input", "output"}),
        )
        for key, member, known in compile_body:
            if key == "input" and kind in _CALLING and self._decides_itself(kind, reader.value):
                known |= {"secrets"}
            part = reader.object(key)
            schema = schema_of(part)
            if schema is not None:
                shape[f"{key}_schema"] = schema
            if part.has(member):
                made = make.mapped(part.raw(member), (*part.path, member), known)
                shape[{"input": "from", "output": "as", "export": "export"}[key]] = made
            part.refuse_unknown()
        return shape

    def _directive(
        self,
        holder: Reader,
        otherwise: str,
        entries: Mapping[str, str],
        following: str,
        enclosing: EnclosingScope,
    ) -> str:
        """Return the node that the `then` of a task or of a case leads to."""
        then = holder.text("then")
        path = (*holder.path, "then")
        match then:
            case "":
                return otherwise
            case "continue":
                return following
            case "exit":
                return enclosing.after
            case "end":
                if not enclosing.ends:
                    why = "use exit, which ends this branch"
                    unsupported(self.problems, "end in a part that runs on its own", path, why)
                return enclosing.end
        if then in entries:
            return entries[then]
        close = difflib.get_close_matches(then, [*entries, "continue", "exit", "end"], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        message = f"there is no task {then[:64]!r} in this list{hint}"
        self.problems.add("GRAPH_UNKNOWN_NODE", message, path)
        return following


def _guarded(context: TaskContext, otherwise: str) -> TaskContext:
    """Return the task behind an added node that tests its condition."""
    shape = dict(context.shape)
    program = shape.pop("if")["jq"]
    entry = context.new("run")
    context.compiler.place(entry, context.path)
    case = {"jq": f"if {program} then 0 else 1 end"}
    config = {"op": "switch", "case": case, "to": [entry, otherwise]}
    context.node(context.entry, config, among=(entry, otherwise))
    return replace(context, entry=entry, shape=shape)


def case_program(conditions: list[str]) -> str:
    """Return the program of the index of the first condition that holds; their number if none
    does.
    """
    program = str(len(conditions))
    for index in range(len(conditions) - 1, -1, -1):
        program = f"if {single(conditions[index])} then {index} else {program} end"
    return program
