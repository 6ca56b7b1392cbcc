"""Nodes of native workflows as calls of the builder."""

from collections.abc import Collection, Mapping, Sequence

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.python.text import Call, Code, Names, literal, statement
from flowmesh.expressions.references import Reference, ReferenceInvalid, parse_reference

# Arguments and options of a call.
_Arguments = tuple[list[Json], Document]

# Default input of a task: in a flow, and in a map.
_INPUT, _ITEM = "{{input}}", "{{item}}"

_MAP_KEYS = frozenset({"items", "pages", "concurrency", "batch", "tolerate", "results", "tasks"})
_RETRY = {
    "maxAttempts": ("attempts", 4),
    "initialDelay": ("initial", "100ms"),
    "multiplier": ("multiplier", 2.0),
    "maxDelay": ("max", "30s"),
    "retryOn": ("on", None),
}
# Text options; those of any node first.
_TEXTS = {"name": "name", "condition": "condition"}
_TEXTS_OF_TASKS = {
    "timeout": "timeout",
    "scheduleToStart": "schedule_to_start",
    "priority": "priority",
    "queue": "queue",
}


class _Variable:
    """A node of the flow; it needs a name only if something uses it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.used = False

    @property
    def name(self) -> str:
        self.used = True
        return self._name


class _Graph:
    """The owner of nodes: the flow, or a map in it; `name` is the variable of its tasks."""

    def __init__(self, owner: _Variable, name: str, given: str) -> None:
        self.owner = owner
        self.name = name
        # Template of the default input of its tasks.
        self.given = given
        self.nodes: dict[str, _Variable] = {}


class _References:
    """Writer of templates as references to visible nodes; records the nodes."""

    def __init__(self, graph: _Graph, nodes: Collection[str]) -> None:
        self._graph = graph
        self._nodes = nodes
        self.seen: dict[str, None] = {}

    def __call__(self, value: Json) -> Json:
        match value:
            case str():
                return self._reference(value) or value
            case dict():
                return {key: self(item) for key, item in value.items()}
            case list():
                return [self(item) for item in value]
            case _:
                return value

    def _reference(self, text: str) -> Code | None:
        """Return a text that is one template, as the builder writes it."""
        found = _parsed(text)
        if found is None:
            return None
        path = found.path
        if found.root == "tasks" and path[1:2] == ("output",):
            node = str(path[0])
            if node not in self._nodes or node not in self._graph.nodes:
                return None
            self.seen[node] = None
            begins, path = f"{self._graph.nodes[node].name}.output", path[2:]
        elif found.root in ("input", "variables"):
            begins = f"flow.{found.root}"
        elif found.root in ("item", "index") and self._graph.given == _ITEM:
            begins = f"{self._graph.owner.name}.{found.root}"
        else:
            return None
        keys = (literal(key) if isinstance(key, str) else str(key) for key in path)
        return Code(begins + "".join(f"[{key}]" for key in keys))


def _parsed(text: str) -> Reference | None:
    if not (text.startswith("{{") and text.endswith("}}")):
        return None
    try:
        found = parse_reference(text, 2, len(text) - 2, "")
    except ReferenceInvalid:
        return None
    return found if str(found) == text[2:-2] else None


class Nodes:
    """The statements that add the nodes of a flow and of its maps."""

    def __init__(self, flow: str, tasks: Mapping[str, Document]) -> None:
        self._tasks = tasks
        self._names = Names(("Retry", "flow"))
        self._flow = _Graph(_Variable("flow"), flow, _INPUT)
        self._added: list[tuple[_Variable, Call]] = []
        # Tasks of the source that an option of the builder defines.
        self.inlined: set[str] = set()
        self.has_retries = False

    def add(self, nodes: Sequence[Document]) -> None:
        self._add(self._flow, nodes)

    def output(self, value: Json) -> Json:
        """Return the output of the flow, which may refer to any of its nodes."""
        return _References(self._flow, self._flow.nodes)(value)

    def statements(self) -> list[str]:
        return [
            statement(f"{node.name} = " if node.used else "", call, 1) for node, call in self._added
        ]

    def _add(self, graph: _Graph, nodes: Sequence[Document]) -> None:
        for node in nodes:
            name = node["id"]
            variable = _Variable(self._names.new(name))
            self._added.append((variable, self._call(graph, name, dict(node))))
            graph.nodes[name] = variable
            if _is_map(node):
                self._add(_Graph(variable, f"{graph.name}.{name}", _ITEM), node["map"]["tasks"])

    def _call(self, graph: _Graph, name: str, rest: Document) -> Call:
        """Return the call that adds a node; used members are removed from `rest`."""
        del rest["id"]
        waits = _waits(rest.get("dependsOn"), graph)
        references = _References(graph, waits or ())
        method, arguments, options = self._method(graph, name, rest, references)
        self._take_options(rest, options, references, of_task=method != "map")
        if waits is not None:
            del rest["dependsOn"]
            if list(references.seen) != list(waits) or any(waits.values()):
                options["depends_on"] = [_after(graph, *each) for each in waits.items()]
        if method == "node":
            arguments.append(rest)
        elif rest:
            options["also"] = rest
        return Call(f"{graph.owner.name}.{method}", [name, *arguments], options)

    def _method(
        self, graph: _Graph, name: str, rest: Document, references: _References
    ) -> tuple[str, list[Json], Document]:
        """Return the method for a node, its arguments and options."""
        if _is_map(rest):
            return "map", [], _map_options(rest.pop("map"), references)
        if "input" not in rest:
            for key, (method, write) in _LINKS.items():
                members = rest.get(key)
                if isinstance(members, dict) and (found := write(members, references)):
                    del rest[key]
                    return method, *found
        ref = rest.get("taskRef")
        if not isinstance(ref, str):
            return "node", [], {}
        del rest["taskRef"]
        match rest.get("input"):
            case {"source": source, "pipeline": list(steps), **others} if (
                ref == "transform" and not others and all(isinstance(each, dict) for each in steps)
            ):
                del rest["input"]
                return "transform", [references(source), *references(steps)], {}
        task = self._tasks.get(ref, {})
        spec = task.get("spec") if task.get("metadata") == {"name": ref} else None
        if spec == {"type": ref} and rest.get("input") is not None:
            self.inlined.add(ref)
            if rest["input"] == graph.given:
                del rest["input"]
            return "task", [ref], {}
        if ref == f"{graph.name}.{name}" and (http := _http(spec)):
            self.inlined.add(ref)
            return "http", *http
        return "use", [ref], {}

    def _take_options(
        self, rest: Document, options: Document, references: _References, *, of_task: bool
    ) -> None:
        """Move the members with an option of the builder from `rest` to `options`."""
        if of_task and rest.get("input") is not None:
            options["input"] = references(rest.pop("input"))
        for key, option in (_TEXTS | _TEXTS_OF_TASKS if of_task else _TEXTS).items():
            if isinstance(rest.get(key), str) and rest[key]:
                options[option] = rest.pop(key)
        if rest.get("critical") is False:
            options["critical"] = rest.pop("critical")
        if rest.get("join"):
            options["join"] = rest.pop("join")
        if of_task and rest.get("repeatable"):
            options["repeatable"] = rest.pop("repeatable")
        if of_task and rest.get("permissions"):
            options["permissions"] = rest.pop("permissions")
        retry = rest.get("retry")
        if of_task and isinstance(retry, dict) and _is_whole(retry):
            self.has_retries = True
            options["retry"] = _retry(rest.pop("retry"))


def _waits(listed: Json, graph: _Graph) -> dict[str, str] | None:
    """Return the dependencies of a node with their outcomes; None if only a resource can express
    them.
    """
    if not listed:
        return None
    found: dict[str, str] = {}
    for each in listed:
        match each:
            case str(name):
                outcome = ""
            case {"task": str(name), "on": str(outcome), **others} if not others:
                pass
            case _:
                return None
        # A later node has no name yet; in a map, the name would refer to an outer one.
        known = name in graph.nodes or (not outcome and graph.given == _INPUT)
        if name in found or not known:
            return None
        found[name] = outcome
    return found


def _after(graph: _Graph, name: str, outcome: str) -> Json:
    if name not in graph.nodes:
        return name
    variable = graph.nodes[name].name
    return Code(f"{variable}.on({literal(outcome)})" if outcome else variable)


def _is_map(node: Document) -> bool:
    """Return whether the builder makes the same map; another map is written as a node."""
    body = node.get("map")
    return (
        isinstance(body, dict)
        and body.keys() <= _MAP_KEYS
        and ("items" in body) != isinstance(body.get("pages"), dict)
        and all(body[key] for key in ("concurrency", "batch", "tolerate") if key in body)
        and body.get("results", "COUNT") == "COUNT"
    )


def _map_options(body: Document, references: _References) -> Document:
    options: Document = {}
    for key in ("items", "pages", "concurrency", "batch", "tolerate"):
        if key in body:
            options[key] = references(body[key]) if key in ("items", "pages") else body[key]
    return options | {"counted": True} if "results" in body else options


_CHILD_OPTIONS = {
    "onCancel": "on_cancel",
    "id": "child_id",
    "project": "project",
    "credential": "credential",
}


def _subworkflow(members: Document, references: _References) -> _Arguments | None:
    match members:
        case {"workflow": str(workflow), "version": version, "wait": bool(wait), **others} if (
            others.keys() <= {"input", *_CHILD_OPTIONS} and all(others.values())
        ):
            options: Document = {} if version == "latest" else {"version": version}
            options |= {} if wait else {"wait": False}
            for key, option in _CHILD_OPTIONS.items():
                if key in others:
                    options[option] = others[key]
            return [workflow], options | _given(others, "input", references)
    return None


def _continued(members: Document, references: _References) -> _Arguments | None:
    return ([], _given(members, "input", references)) if _only(members, "input") else None


def _wait(members: Document, references: _References) -> _Arguments | None:
    others = dict(members)
    event = others.pop("event", None)
    if isinstance(event, str) and _only(others, "correlate"):
        return [event], _given(others, "correlate", references)
    return None


def _only(members: Document, key: str) -> bool:
    """Return whether exactly this member is present."""
    return members.keys() <= {key} and members.get(key, "") is not None


def _given(members: Document, key: str, references: _References) -> Document:
    return {"input": references(members[key])} if key in members else {}


# Links to other executions by member: the method, and its arguments.
_LINKS = {
    "subworkflow": ("subworkflow", _subworkflow),
    "continueAsNew": ("continue_as_new", _continued),
    "wait": ("wait_for", _wait),
}


def _http(spec: Document | None) -> _Arguments | None:
    if spec is None or spec.get("type") != "http" or spec.keys() != {"type", "http"}:
        return None
    more = dict(spec["http"])
    url, method = more.pop("url", None), more.pop("method", None)
    simple = more.keys() <= {"headers", "body"} and all(more.values())
    if not (simple and isinstance(url, str) and isinstance(method, str)):
        return None
    return [url], {"method": method, **more} if method != "GET" else more


def _is_whole(policy: Document) -> bool:
    """Return whether the builder can write the policy: it leaves out `retryOn` only."""
    return _RETRY.keys() - {"retryOn"} <= policy.keys() <= _RETRY.keys()


def _retry(members: Document) -> Call:
    """Return the options that differ from the builder's defaults; a 2 and a 2.0 have different
    digests.
    """
    options = {
        option: members[key]
        for key, (option, usual) in _RETRY.items()
        if repr(members.get(key, usual)) != repr(usual)
    }
    return Call("Retry", [], options)
