"""The recursive-descent parser of filters. Errors contain their place."""

from collections.abc import Callable, Mapping

from flowmesh.filters import values
from flowmesh.filters.fields import Field, Kind, field_among, field_of, suggestion, unknown_field
from flowmesh.filters.scanner import END, NUMBER, SIGN, TEXT, WORD, Token, tokens
from flowmesh.filters.terms import (
    FILTER_DEPTH_MAX,
    FILTER_TERMS_MAX,
    AllOf,
    AnyOf,
    Filter,
    Not,
    Op,
    Term,
    Value,
    refuse,
)

_KEYWORDS = ("AND", "OR", "NOT", "IN")
_SIGNS = {op.value: op for op in Op if op is not Op.IN}
_EQUAL = frozenset({Op.EQ, Op.NE, Op.IN})
_ORDERED = frozenset({Op.LT, Op.LE, Op.GT, Op.GE})
_OPS: dict[Kind, frozenset[Op]] = {
    Kind.TEXT: _EQUAL | {Op.PREFIX},
    Kind.STATUS: _EQUAL,
    Kind.NUMBER: _EQUAL | _ORDERED,
    Kind.TIME: _ORDERED | {Op.EQ, Op.NE},
    Kind.DURATION: _ORDERED,
    Kind.ERROR: frozenset({Op.EQ, Op.NE, Op.PREFIX, Op.WORDS}),
    Kind.NEED: _EQUAL,
    Kind.MARK: _EQUAL,
    Kind.ANYWHERE: frozenset({Op.EQ, Op.PREFIX}),
    Kind.ANY: _EQUAL | _ORDERED | {Op.PREFIX},
}


def parse_filter(text: str, now_us: int, fields: Mapping[str, Kind] | None = None) -> Filter | None:
    """Parse a filter; an empty one is None. Raises FILTER_INVALID.

    `now_us` is the reference of relative times such as "-24h". `fields` are those of the list, by
    default the fields of executions.
    """
    parser = _Parser(text, now_us, fields)
    return None if parser.token.kind == END else parser.whole()


class _Parser:
    def __init__(self, text: str, now_us: int, fields: Mapping[str, Kind] | None) -> None:
        self._fields = fields
        self._tokens = tokens(text)
        self._now_us = now_us
        self._depth = 0
        self._terms = 0
        self.token: Token = next(self._tokens)

    def whole(self) -> Filter:
        found = self._either()
        if self.token.kind != END:
            near = suggestion(self.token.text.upper(), _KEYWORDS)
            refuse(f"AND, OR or the end expected, not {self.token.text[:64]!r}{near}", self._at)
        return found

    @property
    def _at(self) -> int:
        return self.token.at

    def _next(self) -> Token:
        token, self.token = self.token, next(self._tokens, self.token)
        return token

    def _keyword(self, word: str) -> bool:
        if self.token.kind == WORD and self.token.text.upper() == word:
            self._next()
            return True
        return False

    def _sign(self, sign: str) -> bool:
        if self.token.kind == SIGN and self.token.text == sign:
            self._next()
            return True
        return False

    def _either(self) -> Filter:
        return self._joined("OR", self._all, AnyOf)

    def _all(self) -> Filter:
        return self._joined("AND", self._negated, AllOf)

    def _joined(
        self,
        word: str,
        part: Callable[[], Filter],
        join: Callable[[tuple[Filter, ...]], Filter],
    ) -> Filter:
        parts = [part()]
        while self._keyword(word):
            parts.append(part())
        return join(tuple(parts)) if len(parts) > 1 else parts[0]

    def _negated(self) -> Filter:
        if not (self.token.text.upper() == "NOT" or self.token.text == "("):
            return self._term()
        self._depth += 1
        if self._depth > FILTER_DEPTH_MAX:
            refuse(f"nested more than {FILTER_DEPTH_MAX} levels deep", self._at)
        found: Filter
        if self._keyword("NOT"):
            found = Not(self._negated())
        elif self._sign("("):
            found = self._either()
            if not self._sign(")"):
                refuse("a closing parenthesis expected", self._at)
        else:
            found = self._term()
        self._depth -= 1
        return found

    def _term(self) -> Filter:
        name = self._next()
        if name.kind != WORD or name.text.upper() in _KEYWORDS:
            refuse(
                f"a field expected, not {name.text[:64]!r}"
                if name.text
                else "a field expected, not the end",
                name.at,
            )
        fields = self._fields
        field = field_of(name.text) if fields is None else field_among(fields, name.text)
        if field is None:
            refuse(unknown_field(name.text, fields), name.at)
        at = self._at
        negated = self._keyword("NOT")
        if self._keyword("IN"):
            self._check_op(field, Op.IN, at)
            term = Term(field, Op.IN, self._list(field))
            return Not(term) if negated else term
        op = _SIGNS.get(self.token.text) if self.token.kind == SIGN and not negated else None
        if op is None:
            listed = " ".join(op.value for op in Op if op in _OPS[field.kind])
            refuse(f"after {field.name}, one of these expected: {listed}", self._at)
        self._next()
        self._check_op(field, op, at)
        return Term(field, op, (self._value(field, op),))

    def _check_op(self, field: Field, op: Op, at: int) -> None:
        fit = _OPS[field.kind]
        if op not in fit:
            listed = " ".join(each.value for each in Op if each in fit)
            refuse(f"{field.name} takes {listed}, not {op.value}", at)

    def _list(self, field: Field) -> tuple[Value, ...]:
        if not self._sign("("):
            refuse("IN takes a list in parentheses, as IN (a, b)", self._at)
        found = [self._value(field, Op.IN)]
        while self._sign(","):
            found.append(self._value(field, Op.IN))
        if not self._sign(")"):
            refuse("a comma or a closing parenthesis expected", self._at)
        return tuple(found)

    def _value(self, field: Field, op: Op) -> Value:
        self._terms += 1
        if self._terms > FILTER_TERMS_MAX:
            refuse(f"more than {FILTER_TERMS_MAX} values", self._at)
        token = self._next()
        if token.kind not in (WORD, TEXT, NUMBER):
            refuse(
                "a value expected: text in quotes, a word, a number, true, false, null", token.at
            )
        literal: Value = token.text
        if token.kind == NUMBER:
            literal = values.number_of(token.text, token.at)
        elif token.kind == WORD and token.text in values.WORDS:
            literal = values.WORDS[token.text]
        return values.value_for(field, op, literal, token, self._now_us)
