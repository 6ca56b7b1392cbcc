"""Conditions in words to CEL over the input, and the inputs that they need."""

import re
from dataclasses import dataclass

from flowmesh.contract.json_value import Json

CHARACTERS_MAX = 200
_COMPARED = re.compile(
    r"^(?:the\s+|an?\s+)?(?P<subject>[\w\s'-]+?)\s+(?:(?:is|are|was|has|costs?|weighs?)\s+)?"
    r"(?P<how>more than or equal to|greater than or equal to|greater than|more than|larger than|"
    r"higher than|bigger than|over|above|at least|exceeds|less than|smaller than|lower than|under|"
    r"below|at most|equal to|equals|not|>=|<=|>|<|=)\s*"
    r"(?:[$€£]\s*)?(?P<number>\d[\d,]*(?:\.\d+)?)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"^(?:the\s+|an?\s+)?(?P<subject>[\w\s-]+?)\s+(?:is|equals|=)\s+(?P<no>not\s+)?"
    r"[\"'`](?P<value>[^\"'`]+)[\"'`]",
    re.IGNORECASE,
)
_STATE = re.compile(
    r"^(?:the\s+|an?\s+)?(?:[\w-]+\s+)*?(?:is|are|was|were)\s+(?P<no>not\s+)?(?P<state>[\w-]+)"
    r"(?:\s+(?:in|at|on|by)\s+[\w\s]+)?$",
    re.IGNORECASE,
)
_SIGNS = {
    ">=": ("more than or equal to", "greater than or equal to", "at least", ">="),
    "<=": ("at most", "<="),
    ">": ("greater than", "more than", "larger than", "higher than", "bigger than", "over", "above",
          "exceeds", ">"),
    "<": ("less than", "smaller than", "lower than", "under", "below", "<"),
    "==": ("equal to", "equals", "="),
    "!=": ("not",),
}  # fmt: skip
_SIGN = {word: sign for sign, words in _SIGNS.items() for word in words}


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression, the input that it reads, and whether the words were understood."""

    expression: str
    name: str
    schema: Json
    understood: bool = True


def condition_of(text: str) -> Condition:
    """Return the condition of a clause; one that is not understood reads a flag of the input."""
    text = text[:CHARACTERS_MAX]
    if found := _COMPARED.match(text):
        name = camel(found["subject"])
        number = found["number"].replace(",", "")
        sign = _SIGN[found["how"].lower()]
        return Condition(f"input.{name} {sign} {number}", name, {"type": "number"})
    if found := _NAMED.match(text):
        name, sign = camel(found["subject"]), "!=" if found["no"] else "=="
        expression = f'input.{name} {sign} "{found["value"]}"'
        return Condition(expression, name, {"type": "string"})
    found = _STATE.match(text)
    name = camel(found["state"] if found else text)
    negated = "!" if found and found["no"] else ""
    return Condition(f"{negated}input.{name}", name, {"type": "boolean"}, bool(found))


def camel(text: str) -> str:
    """Return words as the name of an input."""
    words = re.findall(r"[A-Za-z0-9]+", re.sub(r"'s\b", "", text))
    words = [word for word in words if word.lower() not in ("the", "a", "an", "of")] or ["value"]
    first, *rest = words[:4]
    name = first.lower() + "".join(word.capitalize() for word in rest)
    return name if not name[0].isdecimal() else f"n{name}"
