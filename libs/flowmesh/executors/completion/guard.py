"""Guards of a model step: what leaves is redacted, what leaves and what comes is compared with
patterns.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flowmesh.contract.json_value import Json
from flowmesh.executors.failures import TaskFailure
from flowmesh.expressions.patterns import Pattern, cached_pattern
from flowmesh.models.port import Block, Message, Text, ToolResult, ToolUse

GUARDRAIL, BUDGET = "GuardrailError", "BudgetError"
INPUT_DENIED, OUTPUT_DENIED, OUTPUT_INVALID = "INPUT_DENIED", "OUTPUT_DENIED", "OUTPUT_INVALID"
REFUSED, CUT = "REFUSED", "ANSWER_CUT"
KINDS = ("EMAILS", "CARDS", "KEYS")
CARD_DIGITS_MIN, CARD_DIGITS_MAX = 13, 19

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}\.[A-Za-z]{2,24}")
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:sk|pk|rk|ghp|gho|ghs|xox[abp]|glpat|fm)[-_][A-Za-z0-9_-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
)


class Blocked(Exception):
    """A guard or a budget stopped the step."""

    def __init__(self, class_: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.class_, self.reason, self.message = class_, reason, message

    def failure(self, usage: Json) -> TaskFailure:
        """Return the failure of the attempt."""
        details = {"reason": self.reason, "usage": usage}
        return TaskFailure(self.class_, self.message, details=details)


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns of which none may match, and of which one must if there are any."""

    deny: Sequence[Pattern]
    allow: Sequence[Pattern]

    @classmethod
    def of(cls, given: Mapping[str, Json]) -> "Patterns":
        """Compile the patterns of a direction. Raises ValueError."""
        deny, allow = given.get("deny") or (), given.get("allow") or ()
        return cls(list(map(cached_pattern, deny)), list(map(cached_pattern, allow)))

    def check(self, text: str, reason: str, subject: str) -> None:
        """Raise Blocked; the message does not repeat the text."""
        for number, pattern in enumerate(self.deny, 1):
            if pattern.search(text):
                raise Blocked(GUARDRAIL, reason, f"{subject} matches deny pattern {number}")
        if self.allow and not any(pattern.search(text) for pattern in self.allow):
            raise Blocked(GUARDRAIL, reason, f"{subject} matches no allow pattern")


class Redaction:
    """Replaces addresses, numbers of cards and keys by their kind."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = frozenset(kinds)

    def text(self, text: str) -> str:
        """Return a text without what it redacts."""
        if "KEYS" in self._kinds:
            text = _KEY.sub("[KEY]", text)
        if "EMAILS" in self._kinds:
            text = _EMAIL.sub("[EMAIL]", text)
        if "CARDS" in self._kinds:
            text = _CARD.sub(lambda found: "[CARD]" if _is_card(found[0]) else found[0], text)
        return text

    def value(self, value: Json) -> Json:
        """Return a JSON value with its texts redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(each) for each in value]
        if isinstance(value, dict):
            return {self.text(name): self.value(each) for name, each in value.items()}
        return value

    def messages(self, messages: Sequence[Message]) -> list[Message]:
        """Return messages with all their texts redacted."""
        return [Message(each.role, [self._block(b) for b in each.blocks]) for each in messages]

    def _block(self, block: Block) -> Block:
        if isinstance(block, ToolUse):
            return replace(block, arguments=self.value(block.arguments))
        return replace(block, text=self.text(block.text))


def texts_of(messages: Sequence[Message]) -> Iterator[str]:
    """Yield the texts that users and tools gave."""
    for message in messages:
        for block in message.blocks:
            if message.role == "user" and isinstance(block, Text | ToolResult):
                yield block.text


def _is_card(text: str) -> bool:
    """Return whether the digits of a text end with the check digit of Luhn."""
    digits = [int(each) for each in text if each.isdecimal()]
    if not CARD_DIGITS_MIN <= len(digits) <= CARD_DIGITS_MAX:
        return False
    doubled = [each * 2 - 9 * (each > 4) for each in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0
