"""Descriptors of module types: keys with types, defaults and options, and the services around.

A descriptor is the one source of the JSON Schema, the pages of docs, the completion and the forms
of a builder. Keys are accepted in snake and camel case.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal, cast

from flowmesh.contract.json_value import Json

Kind = Literal[
    "string",
    "number",
    "boolean",
    "select",
    "json",
    "duration",
    "bytes",
    "array",
    "map",
    "filepath",
    "sql",
]

# The kinds of texts that lead out of the document. A host of many tenants checks each by its rule:
# files that are read or written, SQLite files, DSNs of the `driver` beside them; statements,
# sources and schemas that may be the name of their file; addresses to call, or paths below that of
# the `client` beside them, and addresses to listen on.
Rule = Literal[
    "read",
    "written",
    "sqlite",
    "dsn",
    "migration",
    "source",
    "schema",
    "address",
    "target",
    "listen",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key of a module's configuration.

    `refers` is the kind of service that its value names; a `soft` reference is resolved when the
    application is built, so it adds no edge to the order of starts. `rules` are those of the texts
    in the value that lead out of the document, by their place in it: "" is the value itself, `*`
    each key or item, as in `*.dsn`. All other texts are used as they are.
    """

    key: str
    kind: Kind
    text: str
    required: bool = False
    default: Json = None
    options: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    sensitive: bool = False
    refers: str = ""
    soft: bool = False
    least: float | None = None
    most: float | None = None
    item: str = "string"
    rules: Mapping[str, Rule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A service that a module finds by itself: named by `key`, or the only one of the kind."""

    kind: str
    key: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A module type.

    `build` names the function that builds a module, or compiles a step, as `module:function` below
    `flowmesh.apps`. It is imported when an application needs it, so small ones start fast.
    """

    type: str
    build: str
    label: str
    text: str
    # That of its group, unless it has one of its own.
    category: str = ""
    fields: tuple[Field, ...] = ()
    offers: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    # Keys beyond the fields are accepted: sections of free form.
    open: bool = False
    example: Mapping[str, Json] = field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, Json]:
        return {each.key: each.default for each in self.fields if each.default is not None}

    def builder(self) -> Callable[..., Any]:
        """Import the function that builds this type."""
        module, _, function = self.build.partition(":")
        return cast(Callable[..., Any], getattr(import_module(f"flowmesh.apps.{module}"), function))


def group(category: str, *types: Descriptor) -> tuple[Descriptor, ...]:
    """Return the types of a category."""
    return tuple(replace(each, category=each.category or category) for each in types)


def string(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="string", text=text, **rest)


def number(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="number", text=text, **rest)


def flag(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="boolean", text=text, **rest)


def choice(key: str, text: str, *options: str, **rest: Any) -> Field:
    return Field(key=key, kind="select", text=text, options=options, **rest)


def duration(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="duration", text=text, **rest)


def size(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="bytes", text=text, **rest)


def array(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="array", text=text, **rest)


def mapping(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="map", text=text, **rest)


def anything(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="json", text=text, **rest)


def file(key: str, text: str, **rest: Any) -> Field:
    """Return the key of a file that is read."""
    return Field(key=key, kind="filepath", text=text, rules={"": "read"}, **rest)


def folder(key: str, text: str, **rest: Any) -> Field:
    """Return the key of a folder that is written."""
    return Field(key=key, kind="filepath", text=text, rules={"": "written"}, **rest)


def address(key: str, text: str, **rest: Any) -> Field:
    """Return the key of an address that is called."""
    return Field(key=key, kind="string", text=text, rules={"": "address"}, **rest)


def sql(key: str, text: str, **rest: Any) -> Field:
    return Field(key=key, kind="sql", text=text, **rest)
