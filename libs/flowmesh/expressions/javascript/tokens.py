"""Tokens of JavaScript's expression subset."""

import re
from dataclasses import dataclass
from typing import Literal

from flowmesh.expressions.errors import ExpressionInvalid

TokenKind = Literal["number", "string", "name", "mark", "end"]

_TOKEN = re.compile(
    r"""(?P<blank>[\s\ufeff]+)
    |(?P<number>(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+
        |(?:(?:0|[1-9][0-9]*)\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w$]))
    |(?P<name>[^\W\d][\w$]*|\$[\w$]*)
    |(?P<string>"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
    |(?P<mark>===|!==|==(?!=)|!=(?!=)|<=|>=|&&(?!=)|\|\|(?!=)|\?\?(?!=)|\?\.(?![0-9])
        |=>|<<|>>|\*\*|\+\+|--|\.\.\.|[-+*/%&|^]=|[-+*/%!<>()\[\]?:.,{}=;~^&|`\#@])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|0(?![0-9])|[^\dux])"
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str
    offset: int


class NotInSubset(Exception):
    """The source can be JavaScript, but is outside the subset that CEL can express."""


def tokenize(source: str) -> list[Token]:
    """Return all tokens and an end token. Raises NotInSubset or ExpressionInvalid."""
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        found = _TOKEN.match(source, position)
        if found is None:
            if source[position] in "\"'":
                message = f"the string at offset {position} is not closed"
                raise ExpressionInvalid("EXPRESSION_INVALID", message, offset=position)
            raise NotInSubset
        kind, text = found.lastgroup, found.group()
        if source.startswith(("//", "/*"), position):
            raise NotInSubset
        if kind == "string":
            tokens.append(Token("string", _string(text), position))
        elif kind == "number":
            tokens.append(Token("number", text, position))
        elif kind == "name":
            tokens.append(Token("name", text, position))
        elif kind == "mark":
            tokens.append(Token("mark", text, position))
        position = found.end()
    tokens.append(Token("end", "", len(source)))
    return tokens


def _string(text: str) -> str:
    body = text[1:-1]
    if "\\" not in body:
        return body
    plain = _ESCAPE.sub(_unescape, body)
    if len(_ESCAPE.sub("", body)) != len(_ESCAPE.sub("", body).replace("\\", "")):
        raise NotInSubset
    return plain


def _unescape(found: re.Match[str]) -> str:
    code = found.group(1)
    if code[0] in "ux":
        point = int(code.strip("ux{}"), 16)
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise NotInSubset
        return chr(point)
    return _ESCAPED.get(code, code)
