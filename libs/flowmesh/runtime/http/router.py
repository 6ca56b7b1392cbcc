"""Routes by path and method: literals before parameters before wildcards.

Patterns: `/a/{id}`, `/a/{id:[0-9]+}`, `/a/{id}:verb` at the end, `/a/{rest...}`, `/a/*`, and
`/a/{$}` for exactly `/a/`. Two patterns that match the same paths, none more specific, are a
conflict. Raw paths are matched by segment, so an encoded slash never separates segments; the values
of parameters are decoded afterwards.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

import re2

T = TypeVar("T")

SEGMENTS_MAX = 64
_PARAMETER = re.compile(r"\{([A-Za-z_][\w-]*)(?::(.+))?\}\Z")
_VERB = re.compile(r"(\{[A-Za-z_][\w-]*\}):([A-Za-z][\w-]*)\Z")
_REST = re.compile(r"\{([A-Za-z_][\w-]*)\.\.\.\}\Z")


class RouteConflict(ValueError):
    """A pattern that is invalid, or that matches the same paths as an earlier one."""


@dataclass(slots=True)
class Leaf(Generic[T]):
    """The targets of a path by method; the method "" is for all others."""

    template: str
    names: tuple[str, ...]
    # A wildcard without it needs one more segment.
    blank: bool = True
    methods: dict[str, T] = field(default_factory=dict)

    def target(self, method: str) -> T | None:
        found = self.methods.get(method)
        if found is None and method == "HEAD":
            found = self.methods.get("GET")
        return found if found is not None else self.methods.get("")

    @property
    def allowed(self) -> str:
        """The methods for the header Allow; text after a method is the caller's."""
        names = {each.partition(" ")[0] for each in self.methods} - {""}
        return ", ".join(sorted(names | {"OPTIONS"} | ({"HEAD"} if "GET" in names else set())))


@dataclass(slots=True)
class _Branch(Generic[T]):
    literals: dict[str, "_Branch[T]"] = field(default_factory=dict)
    # Parameters with a pattern of their own come first.
    patterns: list[tuple[str, "re2._Regexp[str]", "_Branch[T]"]] = field(default_factory=list)
    parameter: "_Branch[T] | None" = None
    leaf: Leaf[T] | None = None
    verbs: dict[str, Leaf[T]] = field(default_factory=dict)
    rest: Leaf[T] | None = None


class Router(Generic[T]):
    """A tree of segments, with a table of the paths without parameters."""

    def __init__(self, routes: Iterable[tuple[str, str, T]] = (), *, rest: str = "") -> None:
        """`rest` is a segment that stands for one or more segments."""
        self._root: _Branch[T] = _Branch()
        self._exact: dict[str, Leaf[T]] = {}
        self._rest = rest
        for method, template, target in routes:
            self.add(method, template, target)

    def add(self, method: str, template: str, target: T) -> None:
        """Add a route. Raises RouteConflict."""
        leaf = self._leaf(template)
        if method in leaf.methods:
            other = f" ({leaf.template})" if leaf.template != template else ""
            name = method or "every method of"
            raise RouteConflict(f"{name} {template} is routed already{other}")
        leaf.methods[method] = target

    def match(self, path: str) -> tuple[Leaf[T], dict[str, str]] | None:
        """Return the leaf of a raw path and its parameters; None if nothing is there."""
        leaf = self._exact.get(path)
        if leaf is not None:
            return leaf, {}
        segments = path.split("/")[1:]
        if len(segments) > SEGMENTS_MAX:
            return None
        values: list[str] = []
        found = _find(self._root, segments, 0, values)
        if found is None:
            return None
        return found, {n: _decoded(v) for n, v in zip(found.names, values, strict=True)}

    def leaves(self) -> Iterator[Leaf[T]]:
        """Yield all leaves, in the order of the tree."""
        waiting = [self._root]
        while waiting:
            branch = waiting.pop()
            each_leaf = (branch.leaf, *branch.verbs.values(), branch.rest)
            yield from (each for each in each_leaf if each is not None)
            waiting += [*branch.literals.values(), *(each[2] for each in branch.patterns)]
            waiting += [branch.parameter] if branch.parameter is not None else []

    def _leaf(self, template: str) -> Leaf[T]:
        segments = template.split("/")[1:]
        branch, names, verb = self._root, list[str](), ""
        for index, segment in enumerate(segments):
            last = index == len(segments) - 1
            if _REST.match(segment) or segment == "*" or (segment and segment == self._rest):
                if not last:
                    raise RouteConflict(f"{template}: a wildcard must be the last part")
                names.append(segment.strip("{.}"))
                blank = segment != self._rest
                branch.rest = branch.rest or Leaf(template, tuple(names), blank)
                return branch.rest
            if last and (found := _VERB.match(segment)):
                segment, verb = found.groups()
            if segment == "{$}":
                branch = branch.literals.setdefault("", _Branch())
            elif segment.startswith("{"):
                branch = self._parameter(branch, segment, template, names)
            elif "{" in segment or "}" in segment:
                raise RouteConflict(f"{template}: a parameter must be a whole part of the path")
            else:
                branch = branch.literals.setdefault(segment, _Branch())
        if len(set(names)) != len(names):
            raise RouteConflict(f"{template}: a name of a parameter is there twice")
        leaf = branch.verbs.get(verb) if verb else branch.leaf
        leaf = leaf or Leaf(template, tuple(names))
        if leaf.names != tuple(names):
            pass_names = ", ".join(leaf.names)
            text = f"{template} matches the same paths as {leaf.template}"
            raise RouteConflict(f"{text}; name the parameters {pass_names} in both")
        if verb:
            branch.verbs[verb] = leaf
        else:
            branch.leaf = leaf
        if not names:
            self._exact[template.replace("{$}", "")] = leaf
        return leaf

    def _parameter(
        self, branch: "_Branch[T]", segment: str, template: str, names: list[str]
    ) -> "_Branch[T]":
        found = _PARAMETER.match(segment)
        if found is None:
            text = "a parameter is {name}, {name:pattern} or {name...}"
            raise RouteConflict(f"{template}: {text}")
        names.append(found[1])
        if not found[2]:
            branch.parameter = branch.parameter or _Branch()
            return branch.parameter
        for text, _, child in branch.patterns:
            if text == found[2]:
                return child
        try:
            pattern = re2.compile(found[2])
        except re2.error:
            raise RouteConflict(f"{template}: {found[2]!r} is not a pattern of RE2") from None
        child = _Branch[T]()
        branch.patterns.append((found[2], pattern, child))
        return child


def _find(
    branch: "_Branch[T]", segments: list[str], index: int, values: list[str]
) -> "Leaf[T] | None":
    """Return the leaf of the segments from `index`; recurses only where it may have to return."""
    last = len(segments) - 1
    while index <= last:
        segment, size = segments[index], len(values)
        parameter, rest = branch.parameter, branch.rest
        child = branch.literals.get(segment)
        if child is not None:
            if parameter is None and rest is None and not branch.patterns:
                branch, index = child, index + 1
                continue
            found = _find(child, segments, index + 1, values)
            if found is not None:
                return found
            del values[size:]
        if segment:
            for _, pattern, child in branch.patterns:
                if pattern.fullmatch(segment):
                    values.append(segment)
                    found = _find(child, segments, index + 1, values)
                    if found is not None:
                        return found
                    del values[size:]
            if parameter is not None:
                if index == last and parameter.verbs:
                    # Values may hold colons, so only a known verb is split off.
                    head, _, verb = segment.rpartition(":")
                    if verb in parameter.verbs:
                        values.append(head)
                        return parameter.verbs[verb]
                values.append(segment)
                if rest is None:
                    branch, index = parameter, index + 1
                    continue
                found = _find(parameter, segments, index + 1, values)
                if found is not None:
                    return found
                del values[size:]
        if rest is None or not (rest.blank or segment or index < last):
            return None
        values.append("/".join(segments[index:]))
        return rest
    return branch.leaf


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text
