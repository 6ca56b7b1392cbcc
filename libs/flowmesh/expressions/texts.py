"""Templates in text: request bodies, URLs, header values.

Each mode encodes values against injection: a value cannot leave its quotes in a JSON body, start a
segment or parameter in a URL, or start a line in a header.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from flowmesh.expressions.calls import Expression, references_in
from flowmesh.expressions.errors import Problem, RenderError, TemplateInvalid
from flowmesh.expressions.evaluation import Budget, Render, Scope
from flowmesh.expressions.references import Reference
from flowmesh.expressions.scanner import Part, Placed, scan
from flowmesh.expressions.templates import Write, joined, json_text, write_text

Mode = Literal["json", "text", "url", "header"]

_LINE_BREAKING = re.compile(r"[\r\n\0]")
_HTTP_URL = re.compile(r"https?://[^/?#]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A compiled text; immutable, so it can be shared."""

    references: tuple[Reference, ...]
    constant: bool
    _render: Render

    def render(self, scope: Scope) -> str:
        """Render the text with values encoded for its mode. Raises RenderError."""
        text: str = self._render(scope, Budget())
        return text


def compile_text(text: str, roots: Collection[str], mode: Mode, at: str = "") -> TextTemplate:
    """Compile a text whose references start at one of `roots`. Raises TemplateInvalid.

    `at` distinguishes this text from others rendered at the same moment.

    json    inside quotes the value is escaped as part of that string, elsewhere it is JSON
    text    strings raw, anything else as JSON
    url     percent-encoded; a reference that begins the url is raw and must yield http(s)://host
    header  as text; CR, LF and NUL are refused with HEADER_INVALID
    """
    problems: list[Problem] = []
    parts = scan(text, roots, at, problems)
    if problems:
        raise TemplateInvalid(tuple(problems))
    placed = [part.expression for part in parts if isinstance(part, Placed)]
    references = tuple(found for each in placed for found in references_in(each))
    return TextTemplate(references, not placed, _renderer(parts, mode))


def _renderer(parts: list[Part], mode: Mode) -> Render:
    if mode == "json":
        return joined(parts, _json_writers(parts), "")
    if mode == "url":
        return _url(parts)
    write = joined(parts, [write_text] * len(parts), "")
    if mode == "text":
        return write

    def render_header(scope: Scope, budget: Budget) -> str:
        value = write(scope, budget)
        if _LINE_BREAKING.search(value):
            message = "a header value must not hold CR, LF or NUL"
            raise RenderError(_names(parts), message, code="HEADER_INVALID")
        return value

    return render_header


def _names(parts: list[Part]) -> str:
    return ", ".join(str(part.expression) for part in parts if isinstance(part, Placed))


def _json_writers(parts: list[Part]) -> list[Write]:
    """Choose the writer of each part by whether it is inside a JSON string."""
    writers: list[Write] = []
    quoted = escaped = False
    for part in parts:
        writers.append(_write_quoted if quoted else json_text)
        if isinstance(part, Placed):
            escaped = False
            continue
        for character in part:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = quoted
            elif character == '"':
                quoted = not quoted
    return writers


def _write_quoted(value: Any, expression: Expression) -> str:
    text = write_text(value, expression)
    return json_text(text, expression)[1:-1]


def _url(parts: list[Part]) -> Render:
    begins = bool(parts) and isinstance(parts[0], Placed)
    writers: list[Write] = []
    in_path = True
    for index, part in enumerate(parts):
        if isinstance(part, str):
            in_path = in_path and "?" not in part and "#" not in part
        first = begins and index == 0
        writers.append(write_text if first else _write_segment if in_path else _write_encoded)
    write = joined(parts, writers, "")

    def render_url(scope: Scope, budget: Budget) -> str:
        url = write(scope, budget)
        if begins and not _HTTP_URL.match(url):
            message = "the url must begin with http:// or https:// and a host"
            raise RenderError(_names(parts[:1]), message, code="URL_INVALID")
        if _LINE_BREAKING.search(url):
            message = "a url must not hold CR, LF or NUL"
            raise RenderError(_names(parts), message, code="URL_INVALID")
        return url

    return render_url


def _write_encoded(value: Any, expression: Expression) -> str:
    try:
        return quote(write_text(value, expression), safe="")
    except UnicodeEncodeError as error:
        message = "the text is not valid Unicode"
        raise RenderError(str(expression), message, code="URL_INVALID") from error


def _write_segment(value: Any, expression: Expression) -> str:
    text = _write_encoded(value, expression)
    if text in {".", ".."}:
        message = "'.' and '..' would change the path of the url"
        raise RenderError(str(expression), message, code="URL_INVALID")
    return text
