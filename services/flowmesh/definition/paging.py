"""Page sizes, and filters of lists."""

import json
from dataclasses import dataclass, field

from flowmesh.definition import limits
from flowmesh.errors import Invalid, Violation


def page_size(asked: int) -> int:
    return min(asked or limits.PAGE_SIZE_DEFAULT, limits.PAGE_SIZE_MAX)


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms that must all hold; an empty term always holds."""

    id_exact: str = ""
    id_prefix: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def labels_json(self) -> str:
        return json.dumps(self.labels)


def parse_filter(text: str) -> Filter:
    """Parse `id:name`, `id:prefix*` and `label.key=value`, separated by spaces.

    Raise FILTER_INVALID naming the first term that does not follow the grammar.
    """
    terms = text.split()
    if len(text) > limits.FILTER_CHARACTERS_MAX or len(terms) > limits.FILTER_TERMS_MAX:
        raise _refused(f"a filter has at most {limits.FILTER_TERMS_MAX} terms")
    exact = prefix = ""
    labels: dict[str, str] = {}
    for term in terms:
        key, equals, value = term.partition("=")
        if term.startswith("id:") and term[3:]:
            if exact or prefix:
                raise _refused("a filter has at most one id: term")
            if "*" in term[:-1]:
                raise _refused(f"{term[:64]!r}: * is allowed only at the end of an id")
            exact, prefix = ("", term[3:-1]) if term.endswith("*") else (term[3:], "")
        elif key.startswith("label.") and key[6:] and equals:
            labels[key[6:]] = value
        else:
            raise _refused(f"{term[:64]!r} must be id:name, id:prefix* or label.key=value")
    if "\0" in text:
        raise _refused("a filter must not hold a NUL character")
    return Filter(exact, prefix, labels)


def _refused(message: str) -> Invalid:
    return Invalid(
        "FILTER_INVALID", message, violations=(Violation("filter", message, "FILTER_INVALID"),)
    )
