"""Matching of paths. Literal segments take precedence over parameters, `:verb` over none.

Raw paths are matched segment by segment, so an encoded slash never separates segments. The values
of parameters are decoded afterwards and checked by the route. A last parameter `{path}` matches
all remaining segments with their slashes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")

# The parameter that matches all remaining segments.
REST = "{path}"


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """The targets of a path by method, and the values of its parameters."""

    template: str
    methods: dict[str, T]
    params: dict[str, str]


@dataclass(slots=True)
class _Leaf(Generic[T]):
    template: str
    names: tuple[str, ...]
    methods: dict[str, T] = field(default_factory=dict)


@dataclass(slots=True)
class _Branch(Generic[T]):
    literals: dict[str, "_Branch[T]"] = field(default_factory=dict)
    parameter: "_Branch[T] | None" = None
    # By the verb after the last segment; "" means none.
    leaves: dict[str, _Leaf[T]] = field(default_factory=dict)
    # For all remaining segments.
    rest: "_Leaf[T] | None" = None


class Router(Generic[T]):
    """A tree of path segments."""

    def __init__(self, routes: Iterable[tuple[str, str, T]]) -> None:
        self._root: _Branch[T] = _Branch()
        for method, template, target in routes:
            self._add(method, template, target)

    def match(self, raw_path: str) -> Match[T] | None:
        """Return the match, or `None` if no method is served under the path."""
        segments = raw_path.split("/")[1:]
        branch: _Branch[T] | None = self._root
        values: list[str] = []
        verb = ""
        last = len(segments) - 1
        for index, segment in enumerate(segments):
            if branch is None:
                return None
            literal = branch.literals.get(segment)
            if literal is None and branch.rest is not None:
                return _rest_match(branch.rest, values, segments[index:])
            if literal is None:
                # A parameter does not match an empty segment.
                branch = branch.parameter if segment else None
                if branch is not None and index == last:
                    segment, verb = _without_verb(segment, branch)
                values.append(_decoded(segment))
            else:
                branch = literal
        leaf = branch.leaves.get(verb) if branch is not None else None
        if leaf is None:
            return None
        return Match(leaf.template, leaf.methods, dict(zip(leaf.names, values, strict=True)))

    def _add(self, method: str, template: str, target: T) -> None:
        branch = self._root
        verb = ""
        for segment in template.split("/")[1:]:
            if segment == REST:
                branch.rest = branch.rest or _Leaf(template, _names(template))
            elif segment.startswith("{"):
                _, _, verb = segment.partition("}:")
                branch.parameter = branch.parameter or _Branch()
                branch = branch.parameter
            else:
                branch = branch.literals.setdefault(segment, _Branch())
        leaf = branch.rest if template.endswith(f"/{REST}") else None
        leaf = leaf or branch.leaves.setdefault(verb, _Leaf(template, _names(template)))
        if method in leaf.methods:
            raise ValueError(f"{method} {template} is registered twice")
        leaf.methods[method] = target


def _rest_match(leaf: _Leaf[T], values: list[str], segments: list[str]) -> Match[T] | None:
    rest = "/".join(segments)
    if not rest:
        return None
    values.append(_decoded(rest))
    return Match(leaf.template, leaf.methods, dict(zip(leaf.names, values, strict=True)))


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _without_verb(segment: str, branch: _Branch[T]) -> tuple[str, str]:
    # Ids may hold colons, so only a known verb is split off.
    head, colon, verb = segment.rpartition(":")
    return (head, verb) if colon and verb and verb in branch.leaves else (segment, "")


def _names(template: str) -> tuple[str, ...]:
    parts = [part for part in template.split("/") if part.startswith("{")]
    return tuple(part[1 : part.index("}")] for part in parts)
