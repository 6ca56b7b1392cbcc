"""Annotations of fields that are not simply the field of the message with their name."""

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import UnsetType


@dataclass(frozen=True, slots=True)
class Source:
    """The field of the message, as in `Annotated[int, Source("credit")]`.

    `path` is its name, `retry.max_attempts` in an inner message, or `.` for the message itself;
    without it, or after a path such as `queue.`, the name is that of the record. `read` converts
    the value, and `empty` is the word of an empty one.
    """

    path: str = ""
    read: Callable[[Any], Any] | None = None
    empty: str | None = None
    apart: bool = False


# A field that is not one of the message: it keeps its default, or a handler sets it.
APART = Source(apart=True)


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a field of a request, or of each of its items; it gets the JSON name too."""

    check: Callable[[str, str], object]


@dataclass(frozen=True, slots=True)
class Shape:
    """The type of a field without its annotations."""

    kind: Any
    source: Source = Source()
    check: Check | None = None
    # The name of the value that an empty field has instead: `UNSET`, `None` or none.
    absent: str = ""

    @property
    def item(self) -> "Shape":
        """The items of a list, or the values of a dict."""
        return shape_of([each for each in get_args(self.kind) if each is not ...][-1])


def shape_of(annotation: Any) -> Shape:
    """Return the shape of a type as it is annotated in a struct."""
    notes: list[Any] = []
    kinds = _kinds(annotation, notes)
    rest = [kind for kind in kinds if kind not in (UnsetType, NoneType)]
    return Shape(
        kind=rest[0] if len(rest) == 1 else Any,
        source=next((note for note in notes if isinstance(note, Source)), Source()),
        check=next((note for note in notes if isinstance(note, Check)), None),
        absent="UNSET" if UnsetType in kinds else "None" if NoneType in kinds else "",
    )


def _kinds(annotation: Any, notes: list[Any]) -> list[Any]:
    if get_origin(annotation) is Annotated:
        inner, *found = get_args(annotation)
        notes += found
        return _kinds(inner, notes)
    if get_origin(annotation) in (Union, UnionType):
        return [kind for each in get_args(annotation) for kind in _kinds(each, notes)]
    return [annotation]
