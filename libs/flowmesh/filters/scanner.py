"""The tokens of a filter, each with its place."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from flowmesh.filters.terms import FILTER_BYTES_MAX, refuse

WORD, TEXT, NUMBER, SIGN, END = "word", "text", "number", "sign", "end"


class Token(NamedTuple):
    kind: str
    text: str
    at: int


_SPACE = re.compile(r"[ \t\r\n]*")
_TOKEN = re.compile(
    r"(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?(?![A-Za-z0-9_.:-]))"
    r"|(?P<word>[A-Za-z0-9_][A-Za-z0-9_.:-]*)"
    r'|(?P<text>"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')'
    r"|(?P<sign>!=|<=|>=|\^=|[=<>~(),])",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def tokens(text: str) -> Iterator[Token]:
    """Yield all tokens and then END."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        refuse("not text: a lone surrogate", error.start)
    if size > FILTER_BYTES_MAX:
        refuse(f"the filter has {size} bytes, at most {FILTER_BYTES_MAX}", FILTER_BYTES_MAX)
    if "\0" in text:
        refuse("a NUL character", text.index("\0"))
    at = 0
    while True:
        space = _SPACE.match(text, at)
        at = space.end() if space is not None else at
        if at == len(text):
            yield Token(END, "", at)
            return
        found = _TOKEN.match(text, at)
        if found is None:
            what = "a quote that is not closed" if text[at] in "\"'" else repr(text[at])
            refuse(f"{what} is not allowed here", at)
        kind = found.lastgroup or ""
        value = found.group()
        if kind == TEXT:
            value = _ESCAPE.sub(r"\1", value[1:-1])
        yield Token(kind, value, at)
        at = found.end()
