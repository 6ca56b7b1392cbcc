"""`listen` of Serverless Workflow: waits for events that are published in its namespace.

While a `listen` is open, a node per type registers the execution for events of that type; it never
completes. Events arrive as signals. A `listen` by types alone takes the signals of those names,
whose payload is the data. Any other `listen` has a signal of its own, whose payload is the whole
event: a loop of a wait and a task that evaluates the filters.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.definitions.formats.machines import Machine, catch_all
from flowmesh.definitions.formats.serverless.blocks import block
from flowmesh.definitions.formats.serverless.compiler import EnclosingScope, TaskContext
from flowmesh.definitions.formats.serverless.values import JsonObject, unsupported
from flowmesh.definitions.model import Dialect, Follow, GroupBody, Node, Task
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader, is_id
from flowmesh.standards.events import (
    EVERY_TYPE,
    LISTENING,
    NAME,
    NAME_FORM,
    OWN_TYPES,
    listening_key,
)

STRATEGIES = ("one", "any", "all")
READS = ("data", "envelope")
# Characters that make a text a regular expression. A dot is not one: types and sources contain
# dots.
PATTERN_CHARACTERS = r"\^$*+?()[]{}|"


@dataclass(frozen=True, slots=True)
class _Strategy:
    """The awaited events. `program` returns `{ok, keys}` for each filter, over an event."""

    kind: str
    types: tuple[str, ...]
    program: str
    plain: bool

    def made(self, context: TaskContext) -> JsonObject:
        return {"kind": self.kind, "count": len(self.types), "matches": {"jq": self.program}}


def compile_listen(context: TaskContext) -> None:
    listen = context.reader.object("listen")
    read = listen.text("read") or "data"
    if read not in READS:
        why = "data of an event is JSON: use data or envelope"
        context.refuse(f"listen.read {read[:32]!r}", "listen", "read", why=why)
    if context.reader.has("foreach"):
        context.refuse("listen.foreach", "foreach", why="loop over the output of listen with for")
    to = listen.object("to")
    until = _until(context, to)
    wanted = _strategy(context, to)
    listen.refuse_unknown()
    if wanted is None:
        return
    plain = wanted.plain and read == "data" and not until
    if wanted.kind == "all":
        plain = plain and len(set(wanted.types)) == len(wanted.types)

    def compile_body(machine: Machine, enclosing: EnclosingScope) -> str:
        if plain:
            return _plain(context, machine, enclosing, wanted)
        config = {"op": "listen", "read": read, "wanted": wanted.made(context)}
        types = wanted.types or (EVERY_TYPE,)
        if isinstance(until, _Strategy):
            config["until"] = until.made(context)
            types += until.types or (EVERY_TYPE,)
        elif until:
            config["condition"] = until
        return _filtered(context, machine, enclosing, types, config)

    block(context, compile_body)


def _until(context: TaskContext, to: Reader) -> JsonObject | _Strategy | None:
    """Return the condition, or the events, that end a `listen` to any."""
    if not to.has("until"):
        return None
    given = to.raw("until")
    if not to.has("any"):
        message = "until belongs to `any`: one and all end by themselves"
        context.problems.add("DEFINITION_INVALID", message, (*to.path, "until"), at_key=True)
    if isinstance(given, dict):
        return _strategy(context, to.object("until"))
    text = to.required_text("until", "an expression or events")
    path = (*to.path, "until")
    return context.expressions.expression(text, path, context.names) if text else None


def _strategy(context: TaskContext, strategy: Reader) -> _Strategy | None:
    kinds = [key for key in STRATEGIES if strategy.has(key)]
    if len(kinds) != 1:
        message = f"{strategy.path[-1]} has one of one, any, all"
        context.problems.add("DEFINITION_INVALID", message, strategy.path)
        return None
    kind = kinds[0]
    path = (*strategy.path, kind)
    given = [strategy.raw(kind)] if kind == "one" else strategy.items(kind)
    if kind == "all" and not given:
        context.problems.add("DEFINITION_INVALID", "all needs an event", path)
    filters = [
        _Filter(context, item, path if kind == "one" else (*path, index))
        for index, item in enumerate(given)
    ]
    programs = ",".join(each.program for each in filters)
    strategy.refuse_unknown()
    return _Strategy(
        kind,
        tuple(each.type for each in filters),
        f"[{programs}]",
        bool(filters) and all(each.plain for each in filters),
    )


class _Filter:
    """One event filter: the type to register for, and a program over the event."""

    def __init__(self, context: TaskContext, given: Json, path: Path) -> None:
        self._at = context
        self.type = EVERY_TYPE
        event = Reader(given if isinstance(given, dict) else {}, path, context.problems)
        if event.raw("with") is None:
            event.missing("with", "the attributes of the event, such as its type")
        wanted = event.object("with")
        # The data last: an expression over it assumes an event of the right type.
        keys_in_order = sorted(wanted.value, key=lambda key: (key == "data", key != "type"))
        tests = [self._attribute(wanted, key) for key in keys_in_order]
        if event.raw("with") == {}:
            message = "an event filter needs an attribute, such as type"
            context.problems.add("DEFINITION_INVALID", message, wanted.path)
        correlate = event.object("correlate")
        keys = ",".join(
            f"{orjson.dumps(name).decode()}:{self._correlation(correlate, name)}"
            for name in correlate.value
        )
        wanted.refuse_unknown()
        event.refuse_unknown()
        self.plain = set(wanted.value) == {"type"} and self.type != EVERY_TYPE and not keys
        ok = "and".join(f"({test})" for test in tests if test) or "true"
        matched = f"if {ok} then {{ok:true,keys:{{{keys}}}}} else {{ok:false}} end"
        # A filter that fails over an event, or makes nothing of it, does not match.
        failed = "{ok:false,problem:tostring}"
        self.program = f"([try ({matched}) catch {failed}][0] // {{ok:false}})"

    def _attribute(self, wanted: Reader, key: str) -> str:
        """Return the program that tests an attribute; empty if it is refused."""
        value, path = wanted.raw(key), (*wanted.path, key)
        if not NAME.match(key):
            message = f"an attribute of an event has a name of {NAME_FORM}"
            self._at.problems.add("DEFINITION_INVALID", message, path, at_key=True)
            return ""
        make = self._at.expressions
        if isinstance(value, str) and "${" in value:
            program = make.program(value, path, self._at.names)
            return f'.{key}|. as $__is|{program}|if type=="boolean" then . else . == $__is end'
        if key != "data" and isinstance(value, str) and not self._is_constant(key, value, path):
            return ""
        return f".{key}|. as $__is|{make.program(value, path, self._at.names)} == $__is"

    def _is_constant(self, key: str, text: str, path: Path) -> bool:
        if any(character in PATTERN_CHARACTERS for character in text):
            why = f"write an expression: ${{ test({orjson.dumps(text).decode()}) }}"
            unsupported(self._at.problems, "a pattern in an event filter", path, why)
            return False
        if key != "type":
            return True
        if text.startswith(OWN_TYPES):
            why = "events of executions start workflows: use schedule.on"
            unsupported(self._at.problems, f"listening to {text[:64]!r}", path, why)
        elif not is_id(text):
            message = f"the type {text[:64]!r} cannot be the name of a signal"
            self._at.problems.add("ID_INVALID", message, path)
        else:
            self.type = text
        return True

    def _correlation(self, correlate: Reader, name: str) -> str:
        """Return the programs of the event's value and of its comparison with the expected one."""
        key = correlate.object(name)
        source = key.required_text("from", "an expression over the event")
        make, names = self._at.expressions, self._at.names
        value = make.expression(source, (*key.path, "from"), names)["jq"] if source else "null"
        ok = ". != null"
        if key.has("expect"):
            expected = make.program(key.raw("expect"), (*key.path, "expect"), names)
            ok += f" and . == ($input|{expected})"
        fixed = orjson.dumps(key.has("expect")).decode()
        key.refuse_unknown()
        return f"({value}|{{value:.,ok:({ok}),fixed:{fixed}}})"


def _registrations(
    context: TaskContext, types: tuple[str, ...], signals: dict[str, str]
) -> Iterator[Node]:
    """Yield a node per type that never completes."""
    for name in dict.fromkeys(types):
        task = Task("signal", "signal", {"name": LISTENING}, Dialect.NATIVE)
        node_id = context.new("registration")
        yield Node(
            node_id,
            context.machine.names.place((*context.path, "listen", node_id), node_id),
            name=f"events {name}",
            task=task,
            input=listening_key(name, signals.get(name, "")),
            has_input=True,
            bound=context.machine.bound,
        )


def _plain(
    context: TaskContext, machine: Machine, enclosing: EnclosingScope, wanted: _Strategy
) -> str:
    """Compile a wait for signals named like the types of the events."""
    wait, heard, path = (
        context.new("events"),
        context.new("heard"),
        (*context.path, "listen", "to", wanted.kind),
    )
    awaited = tuple(_signal(context, machine, name) for name in wanted.types)
    if wanted.kind == "all":
        awaited = (
            Node(context.new("all"), path, body=GroupBody(awaited, path), bound=machine.bound),
        )
    registered = _registrations(context, wanted.types, {name: name for name in wanted.types})
    race = GroupBody((*registered, *awaited), path, race=True)
    first = Node(context.new("first"), path, body=race, bound=machine.bound)
    group = machine.group_with_input((first,), (*context.path, "listen"), context.name)
    machine.body(wait, group, Follow(heard, catch_all(enclosing.catch)), context.path)
    config = {"op": "heard", "several": wanted.kind == "all"}
    context.node(heard, config, enclosing.after, machine=machine, catch=enclosing.catch)
    return wait


def _signal(context: TaskContext, machine: Machine, name: str) -> Node:
    node_id = context.new("event")
    task = Task("signal", "signal", {"name": name}, Dialect.NATIVE)
    path = machine.names.place((*context.path, "listen", node_id), node_id)
    return Node(node_id, path, name=name, task=task, bound=machine.bound)


def _filtered(
    context: TaskContext,
    machine: Machine,
    enclosing: EnclosingScope,
    types: tuple[str, ...],
    config: JsonObject,
) -> str:
    """Compile a loop over the events in a race with their registrations, which end with it.

    A failure would not end the race, so it is held back until the race is over.
    """
    path = (*context.path, "listen")
    signal, wait, hear, route, done, held, both, end = (
        context.new(what)
        for what in ("events", "wait", "hear", "next", "done", "held", "listen", "heard")
    )
    loop = machine.inner((*path, "loop"))
    group = loop.group_with_input((_signal(context, loop, signal),), path, context.name)
    loop.body(wait, group, Follow(hear, catch_all(held)), context.path)
    config = {**config, "again": wait, "done": done}
    isolated = replace(
        context, enclosing=replace(enclosing, after="", end="", catch=held, ends=False)
    )
    isolated.node(hear, config, route, machine=loop)
    loop.route(route, (wait, done), context.path)
    loop.step(done, "", context.path)
    context.node(held, {"op": "held"}, machine=loop, given={"error": "{{error}}"}, catch="")
    registered = _registrations(context, types, dict.fromkeys(types, signal))
    racers = (*registered, loop.as_node(context.new("loop"), wait, name=context.name))
    body = GroupBody(racers, path, race=True)
    machine.body(both, body, Follow(end, catch_all(enclosing.catch)), context.path)
    context.node(end, {"op": "listened"}, enclosing.after, machine=machine, catch=enclosing.catch)
    return both
