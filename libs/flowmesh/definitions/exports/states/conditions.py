"""Conditions in CEL as choice rules: comparisons of a path with a constant, combined.

A comparison of CEL fails if the value is missing or of another type, unless the other operand
decides alone; a rule is then just false. So a condition becomes two rules, one for true and one for
false; if neither holds, it has failed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.unsupported import UnsupportedExpression
from flowmesh.expressions.cel_source import Token, tokenize

Rule = dict[str, Json]
PathTo = Callable[[tuple[str | int, ...]], str]
_EQUAL = {"==": True, "!=": False}
_ORDER = {"<": "LessThan", "<=": "LessThanEquals", ">": "GreaterThan", ">=": "GreaterThanEquals"}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for a condition that is true, and for one that is false."""

    holds: Rule
    fails: Rule


@dataclass(frozen=True, slots=True)
class _Place:
    path: str


_Operand = _Place | Rules | bool | int | float | str | None


def rules_of(source: str, path_to: PathTo) -> Rules:
    """Return the rules of a condition; `path_to` maps a reference to its path.

    Raises UnsupportedExpression.
    """
    reader = _Reader(source, path_to)
    rules = reader.either()
    if reader.word:
        raise UnsupportedExpression(f"{reader.word!r} in a condition")
    return rules


class _Reader:
    """Recursive descent over the tokens; nesting is bounded."""

    def __init__(self, source: str, path_to: PathTo) -> None:
        self._source = source
        self._tokens = tokenize(source)
        self._position = 0
        self._path_to = path_to

    @property
    def word(self) -> str:
        token = self._token()
        return token.text if token is not None else ""

    def _token(self) -> Token | None:
        known = self._position < len(self._tokens)
        return self._tokens[self._position] if known else None

    def _take(self, *words: str) -> str:
        found = self.word
        if found not in words:
            return ""
        self._position += 1
        return found

    def _next(self) -> Token:
        token = self._token()
        if token is None:
            raise UnsupportedExpression("a condition that ends early")
        self._position += 1
        return token

    def either(self) -> Rules:
        found = [self._both()]
        while self._take("||"):
            found.append(self._both())
        if len(found) == 1:
            return found[0]
        return Rules({"Or": [each.holds for each in found]}, {"And": [e.fails for e in found]})

    def _both(self) -> Rules:
        found = [self._comparison()]
        while self._take("&&"):
            found.append(self._comparison())
        if len(found) == 1:
            return found[0]
        return Rules({"And": [each.holds for each in found]}, {"Or": [e.fails for e in found]})

    def _comparison(self) -> Rules:
        left = self._operand()
        sign = self._take(*_TURNED)
        if not sign:
            return _as_rules(left)
        right = self._operand()
        if isinstance(right, _Place) and not isinstance(left, _Place | Rules):
            left, right, sign = right, left, _TURNED[sign]
        if not isinstance(left, _Place) or isinstance(right, _Place | Rules):
            raise UnsupportedExpression("a comparison that is not of a value with a constant")
        return _compared(left.path, sign, right)

    def _operand(self) -> _Operand:
        if self._take("!"):
            rules = _as_rules(self._operand())
            return Rules(rules.fails, rules.holds)
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                raise UnsupportedExpression(f"{self.word!r} in a condition")
            return inner
        negative = bool(self._take("-"))
        token = self._next()
        if token.kind == "number":
            return _number(token.text, negative)
        if negative:
            raise UnsupportedExpression("arithmetic in a condition")
        if token.kind == "string":
            return _text(token.text)
        if token.text in _WORDS:
            return _WORDS[token.text]
        if token.kind != "name":
            raise UnsupportedExpression(f"{token.text!r} in a condition")
        return self._place(token)

    def _place(self, root: Token) -> _Place:
        keys: list[str | int] = [root.text]
        while True:
            if self._take("."):
                keys.append(self._name(hyphens=keys == ["tasks"]))
            elif self._take("["):
                token = self._next()
                is_text = token.kind == "string"
                if not is_text and not token.text.isdecimal():
                    raise UnsupportedExpression("a computed index in a condition")
                keys.append(_text(token.text) if is_text else int(token.text))
                if not self._take("]"):
                    raise UnsupportedExpression("a computed index in a condition")
            else:
                break
        if self.word == "(":
            raise UnsupportedExpression(f"the function {keys[-1]} in a condition")
        path = self._path_to(tuple(keys))
        if not path:
            raise UnsupportedExpression(f"a condition that reads {root.text}")
        return _Place(path)

    def _name(self, *, hyphens: bool) -> str:
        """Return a member name; a task id may contain hyphens without blanks."""
        token = self._next()
        name = token.text
        while hyphens and self.word == "-" and self._at(0) == token.offset + len(name):
            following = self._tokens[self._position + 1 : self._position + 2]
            if not following or self._at(1) != self._at(0) + 1:
                break
            self._position += 2
            name += "-" + following[0].text
        return name

    def _at(self, ahead: int) -> int:
        return self._tokens[self._position + ahead].offset


def _as_rules(operand: _Operand) -> Rules:
    if isinstance(operand, Rules):
        return operand
    if isinstance(operand, _Place):
        return Rules(*(_there(operand.path, {"BooleanEquals": each}) for each in (True, False)))
    raise UnsupportedExpression("a constant in place of a comparison")


def _there(path: str, *tests: Rule) -> Rule:
    rules = ({"IsPresent": True}, *tests)
    return {"And": [rule if "Not" in rule else {"Variable": path, **rule} for rule in rules]}


def _compared(path: str, sign: str, constant: Json) -> Rules:
    if constant is None:
        kind, equals = "", "IsNull"
    elif isinstance(constant, bool):
        kind, equals = "", "BooleanEquals"
    elif isinstance(constant, str):
        kind, equals = "String", "StringEquals"
    else:
        kind, equals = "Numeric", "NumericEquals"
    if sign in _EQUAL:
        test: Rule = {"Variable": path, equals: True if constant is None else constant}
        rules = Rules(_there(path, test), _there(path, {"Not": test}))
        return rules if _EQUAL[sign] else Rules(rules.fails, rules.holds)
    if not kind:
        raise UnsupportedExpression(
            "an order of values that are no numbers and no texts in a condition"
        )
    test = {"Variable": path, f"{kind}{_ORDER[sign]}": constant}
    typed = {f"Is{kind}": True}
    return Rules(_there(path, typed, test), _there(path, typed, {"Not": test}))


def _number(text: str, negative: bool) -> int | float:
    if text[-1] in "uU" or text[:2] in ("0x", "0X"):
        raise UnsupportedExpression(f"the number {text} in a condition")
    value = float(text) if any(mark in text for mark in ".eE") else int(text)
    return -value if negative else value


def _text(text: str) -> str:
    """Return a string of CEL written as in JSON, in either kind of quotes."""
    quote = text[0]
    body = text[1:-1]
    if quote not in "'\"" or text.startswith(quote * 3):
        raise UnsupportedExpression(f"the string {text[:32]} in a condition")
    if quote == "'":
        body = body.replace("\\'", "'").replace('"', '\\"')
    try:
        return str(json.loads(f'"{body}"'))
    except ValueError:
        raise UnsupportedExpression(f"the string {text[:32]} in a condition") from None
