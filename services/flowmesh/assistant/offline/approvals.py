"""Approvals in sentences: who decides, and until when."""

import re

from flowmesh.assistant.offline.clauses import Step
from flowmesh.contract.json_value import Json

_ASKED = re.compile(
    r"\b(?:ask|have|let|get|wait for|wait until|require|needs?)\s+(?:the\s+|an?\s+)?([\w.@-]+)\s+"
    r"(?:to\s+|has\s+|for\s+)?(?:approv|sign)",
    re.IGNORECASE,
)
_BY = re.compile(r"\b(?:from|by|of)\s+(?:the\s+|an?\s+)?([\w.@-]+)", re.IGNORECASE)
_NOBODY = frozenset({"an", "a", "the", "approval", "manual", "human", "someone", "somebody", "it"})


def approval_of(step: Step) -> dict[str, Json]:
    """Return the approval of a clause."""
    found = _ASKED.search(step.text) or _BY.search(step.text)
    approval: dict[str, Json] = {"title": step.text}
    if found and found[1].lower() not in _NOBODY:
        approval["assignees"] = found[1]
    if step.timeout:
        approval["deadline"] = step.timeout
    return approval
