"""Names in paths of the Amazon States Language, rewritten for RFC 9535.

The language allows more in `$.name` than RFC 9535: hyphens, leading digits, signs, and any
character after a backslash. It also allows `.[0]` for `[0]`, and a bare word for a text in a
filter. Names that RFC 9535 does not allow become `['name']`; the rest is left to its parser.
"""

import re

import orjson

_PLAIN = re.compile(r"[^\W\d]\w*\Z")
# One name behind a dot: escaped characters, and those that are no operator of a path.
_NAME = re.compile(r"""(?:\\u[0-9A-Fa-f]{4}|\\.|[^\s\x00-\x1f.\[\]()@,:?*'"\\])+""", re.DOTALL)
# In a filter a name ends before an operator too.
_NAME_IN_FILTER = re.compile(r"(?:\\u[0-9A-Fa-f]{4}|\\.|[\w-])+", re.DOTALL)
_WORD = re.compile(r"[^\W\d][\w-]*")
_NUMBER = re.compile(r"\d[\d.eE+-]*")
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\(.)", re.DOTALL)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_NO_TEXTS = frozenset({"true", "false", "null"})


def as_rfc9535(path: str) -> str:
    """Return the path with its names in the syntax of RFC 9535.

    Raises ValueError for half of a surrogate pair.
    """
    return "$" + _Writer(path[1:]).written() if path.startswith("$") else path


class _Writer:
    """One pass over a path; `_filters` are the depths of brackets at which filters began."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._filters: list[int] = []
        self._parts: list[str] = []

    def written(self) -> str:
        while self._at < len(self._text):
            self._parts.append(self._next())
        return "".join(self._parts)

    def _next(self) -> str:
        if quoted := _QUOTED.match(self._text, self._at):
            return self._taken(quoted.group())
        character = self._text[self._at]
        if character == ".":
            return self._dot()
        if self._filters and (number := _NUMBER.match(self._text, self._at)):
            return self._taken(number.group())
        if self._filters and (word := _WORD.match(self._text, self._at)):
            return self._word(word.group())
        if character == "[":
            self._depth += 1
            if self._text.startswith("?", self._at + 1):
                self._filters.append(self._depth)
        elif character == "]":
            if self._filters and self._filters[-1] == self._depth:
                self._filters.pop()
            self._depth -= 1
        return self._taken(character)

    def _taken(self, text: str) -> str:
        self._at += len(text)
        return text

    def _dot(self) -> str:
        """Return the text from a dot to the end of the following name."""
        dots = self._taken(".." if self._text.startswith("..", self._at) else ".")
        if dots == "." and self._text.startswith("[", self._at):
            return ""
        pattern = _NAME_IN_FILTER if self._filters else _NAME
        name = pattern.match(self._text, self._at)
        if name is None:
            return dots
        if _PLAIN.match(self._taken(name.group())):
            return dots + name.group()
        return f"{'' if dots == '.' else dots}[{_quoted(name.group())}]"

    def _word(self, word: str) -> str:
        """Return the name of a function, a constant of JSON, or a text without its quotes."""
        self._taken(word)
        rest = self._text[self._at :].lstrip()
        return word if word in _NO_TEXTS or rest.startswith("(") else _quoted(word)


def _quoted(name: str) -> str:
    """Return a name without its escapes, as a JSON string."""
    units = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], name)
    text = units.encode("utf-16", "surrogatepass").decode("utf-16")
    return orjson.dumps(text).decode()
