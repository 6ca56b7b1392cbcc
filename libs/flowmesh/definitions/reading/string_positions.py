"""Source positions of single characters of a string, in any string style.

Folding changes only white space, and an escape stands for one character. So the n-th character of
the value that is not white space is the n-th one in the source, in all five styles of YAML; strings
of JSON are one of them.
"""

import re
from typing import Any, Final

# Characters that a line break may be folded into, and out of.
_WHITE: Final = frozenset(" \t\r\n\x85\u2028\u2029")
# JSON's form of characters with more than four digits, without the first backslash.
SURROGATES: Final = r"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_BLANKS: Final = frozenset(" \t")
_ESCAPE: Final = re.compile(
    rf"\\(?:{SURROGATES}|x([0-9a-fA-F]{{2}})|u([0-9a-fA-F]{{4}})|U([0-9a-fA-F]{{8}})"
    r"|(\r?\n)[ \t]*|(.))",
    re.DOTALL,
)
# Escapes of white space; others are not decoded.
_WHITE_ESCAPES: Final = frozenset("tnr NLP\t")
_LINE: Final = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")


def offset_within(written: str, style: str, value: str, offset: int) -> int:
    """Return the index in `written`, a whole scalar, of a character of its value; -1 if unknown."""
    if not 0 <= offset <= len(value):
        return -1
    blanks = 0
    while offset > blanks and value[offset - blanks - 1] in _WHITE:
        blanks += 1
    solid = sum(character not in _WHITE for character in value[:offset])
    at_solid = offset < len(value) and value[offset] not in _WHITE
    wanted = solid + 1 if at_solid else solid
    if not wanted:
        return -1
    position, end = _found(written, style, wanted)
    if position < 0:
        return -1
    if at_solid:
        known = written[position] in (value[offset], "\\")
        return position if known else -1
    inline = all(each in _BLANKS for each in written[end : end + blanks])
    return end + blanks if inline else end


def line_and_column(written: str, index: int, line: int, column: int) -> tuple[int, int]:
    """Return line and column of the index in a text that begins at `line` and `column`."""
    breaks = list(_LINE.finditer(written, 0, index))
    if not breaks:
        return line, column + index
    return line + len(breaks), index - breaks[-1].end() + 1


def _found(written: str, style: str, wanted: int) -> tuple[int, int]:
    """Return the start and end of the wanted-th character that is not white space."""
    position = 0
    if style in ("'", '"'):
        position = 1
    elif style in ("|", ">"):
        position = written.find("\n") + 1
    while position < len(written):
        end, white = _next(written, style, position)
        wanted -= not white
        if not wanted:
            return position, end
        position = end
    return -1, -1


def _next(written: str, style: str, position: int) -> tuple[int, bool]:
    """Return the end of one written character, and whether it is white space or nothing."""
    character = written[position]
    if style == "'" and written.startswith("''", position):
        return position + 2, False
    if style != '"' or character != "\\":
        return position + 1, character in _WHITE
    escape = _ESCAPE.match(written, position)
    if escape is None:
        return position + 1, False
    code = escape[1] or escape[2] or escape[3]
    if code:
        return escape.end(), chr(int(code, 16)) in _WHITE
    return escape.end(), escape[4] is not None or (escape[5] or "") in _WHITE_ESCAPES


def within(source: str, scalar: Any, text: str, offset: int) -> tuple[int, int] | None:
    """Return line and column of a character of `text`, the value of a scalar."""
    start, end = scalar.start_mark, scalar.end_mark
    written = source[start.index : end.index]
    index = offset_within(written, scalar.style or "", text, offset)
    if index < 0:
        return None
    return line_and_column(written, index, start.line + 1, start.column + 1)
