"""Sentences to steps: what follows what, what runs side by side, under which condition."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from flowmesh.assistant.offline.words import UNITS, VERBS, number_of

# The rest of a longer text is not read: the search in it would be slow.
SENTENCES_MAX, SENTENCE_CHARACTERS = 100, 1_000
_SENTENCES = re.compile(r"(?<=[.!?;])\s+|\n+")
_SEQUENCE = re.compile(
    r"(?:,|;)?\s*\b(?:and\s+)?(?:then|afterwards|after that|after which|followed by|next|finally|"
    r"lastly|before you|once (?:that|this|it) is done)\b[,:]?\s*",
    re.IGNORECASE,
)
_LIST = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+(?:also\s+)?", re.IGNORECASE)
_OPENING = re.compile(
    r"^(?:first(?:ly)?|second(?:ly)?|third(?:ly)?|then|next|finally|also|please|afterwards|and|"
    r"it (?:should|must|will)|we (?:should|must|want to)|i want to|i need to|"
    r"(?:create|build|make|write|generate|i want|i need)\s+(?:me\s+)?a\s+workflow\s+"
    r"(?:that|which|to|for))[\s,:]+",
    re.IGNORECASE,
)
_TOGETHER = re.compile(
    r",?\s*\b(?:at the same time|in parallel|simultaneously|concurrently|side by side)\b[,:]?\s*",
    re.IGNORECASE,
)
_MEANWHILE = re.compile(r"^meanwhile[,:]?\s*", re.IGNORECASE)
_IF = re.compile(r"^(?:if|when|unless)\s+(.+?)(?:,\s*(?:then\s+)?|\s+then\s+)(.+)$", re.IGNORECASE)
_IF_FAILS = re.compile(
    r"^(?:if|when|should)\s+(?:it|that|this|the\s+[\w\s-]+?|any\w*|[\w-]+ing(?:\s+[\w\s-]+?)?)\s+"
    r"(?:fails?|goes wrong|does not succeed|errors?)(?:\s+again)?[,:]\s*|^(?:on|in case of)\s+"
    r"(?:a\s+|an\s+|any\s+)?(?:failure|error)s?[,:]\s*",
    re.IGNORECASE,
)
_ELSE = re.compile(r"[,;.]?\s*\b(?:otherwise|else|if not)\b[,:]?\s*", re.IGNORECASE)
_EACH = re.compile(
    r"^for\s+(?:each|every|all)\s+(?:of\s+the\s+)?([\w-]+)"
    r"(?:\s+(?:in|of|from)\s+(?:the\s+)?([\w-]+))?[,:]?\s+(.+)$",
    re.IGNORECASE,
)
_RETRY = re.compile(
    r",?\s*(?:and\s+)?\b(?:retry|retrying|try)\b(?:\s+(?:it|that|this|the\s+\w+|on failure))*\s*"
    r"(?:up to\s+|at most\s+)?(\w+)\s*(?:times|attempts)?"
    r"|,?\s*\bwith\s+(?:up to\s+)?(\w+)\s+(?:retries|attempts|tries)",
    re.IGNORECASE,
)
_DURATION = r"(\w+)\s*(seconds?|secs?|minutes?|mins?|hours?|days?)"
_TIMEOUT = re.compile(
    rf",?\s*(?:within|in less than|with a (?:timeout|limit|deadline) of|at most)\s+{_DURATION}",
    re.IGNORECASE,
)
_DELAY = re.compile(rf"^(?:wait|pause|sleep|delay)\s+(?:for\s+)?{_DURATION}", re.IGNORECASE)
_AFTER = re.compile(rf"^after\s+{_DURATION}[,:]\s*", re.IGNORECASE)
_SIGNAL = re.compile(
    r"^wait\s+(?:for|until)\s+(?:the\s+|an?\s+)?(?:signal\s+|event\s+)?[`'\"]?"
    r"([\w-]+(?:[ .-]\w+)?)",
    re.IGNORECASE,
)
_APPROVAL = re.compile(r"\bapprov(?:e|al|es|ed)\b|\bsign[- ]?off\b", re.IGNORECASE)


@dataclass(slots=True)
class Step:
    """A step, or a group: `branches` of a condition, the body of a loop, steps side by side."""

    kind: str
    text: str = ""
    # The condition of a branch, the collection of a loop.
    about: str = ""
    steps: list["Step"] = field(default_factory=list)
    others: list["Step"] = field(default_factory=list)
    attempts: int = 0
    timeout: str = ""


def steps_of(prompt: str) -> list[Step]:
    """Return the steps of a prompt, in order."""
    found: list[Step] = []
    for sentence in _SENTENCES.split(prompt.strip())[:SENTENCES_MAX]:
        text = _opened(sentence[:SENTENCE_CHARACTERS].strip().rstrip(".!?;"))
        if text:
            _add(found, text)
    return found


def duration_of(count: str, unit: str) -> str:
    """Return a duration as definitions write it; empty if the number is unknown."""
    number = number_of("1" if count.lower() in ("a", "an") else count)
    return "" if number is None else f"{number}{UNITS[unit.lower().removesuffix('s')]}"


def _opened(text: str) -> str:
    while opening := _OPENING.match(text):
        text = text[opening.end() :]
    return text


def _add(found: list[Step], text: str) -> None:
    """Add the steps of a sentence, some of which change those before."""
    if (otherwise := _ELSE.match(text)) and found and found[-1].kind == "if":
        found[-1].others += _inner(text[otherwise.end() :])
    elif fails := _IF_FAILS.match(text):
        rest, otherwise = text[fails.end() :], None
        retry = _RETRY.match(rest)
        if retry and found and retry.end() == len(rest):
            _retry(found[-1], retry)
        else:
            found.append(Step("failure", steps=_inner(rest)))
    elif condition := _IF.match(text):
        taken, *other = _ELSE.split(condition[2], maxsplit=1)
        negated = text.lower().startswith("unless")
        step = Step("if", about=condition[1], steps=_inner(taken))
        step.others = _inner(other[0]) if other else []
        if negated:
            step.steps, step.others = step.others, step.steps
        found.append(step)
    elif each := _EACH.match(text):
        about = each[2] or _plural(each[1])
        found.append(Step("each", about=about, steps=_inner(each[3])))
    elif meanwhile := _MEANWHILE.match(text):
        before = found.pop() if found else Step("together")
        side = Step("together", steps=[before, *_inner(text[meanwhile.end() :])])
        found.append(side)
    elif _TOGETHER.search(text):
        parts = _SEQUENCE.split(text)
        for part in filter(None, parts):
            if _TOGETHER.search(part):
                inner = _inner(_TOGETHER.sub(" ", part).strip(" ,"))
                found.append(Step("together", steps=inner))
            else:
                _add(found, part)
    else:
        for part in _SEQUENCE.split(text):
            _simple(found, part.strip(" ,"))


def _inner(text: str) -> list[Step]:
    found: list[Step] = []
    for part in _SEQUENCE.split(text):
        clause = part.strip(" ,")
        if _IF.match(clause) or _EACH.match(clause) or _TOGETHER.search(clause):
            _add(found, clause)
        else:
            _simple(found, clause)
    return found


def _simple(found: list[Step], text: str) -> None:
    """Add the steps of a list of clauses: those parts that begin with a verb."""
    text = _opened(text)
    if not text:
        return
    if _IF.match(text) or _EACH.match(text):
        _add(found, text)
        return
    for clause in _clauses(text):
        if after := _AFTER.match(clause):
            found.append(Step("delay", text=duration_of(after[1], after[2])))
            clause = clause[after.end() :]
        _clause(found, clause)


def _clauses(text: str) -> Iterable[str]:
    """Split at commas and `and` where a verb follows."""
    start = 0
    for separator in _LIST.finditer(text):
        rest = _opened(text[separator.end() :])
        if _begins_step(rest):
            yield text[start : separator.start()]
            start = separator.end()
    yield text[start:]


def _begins_step(text: str) -> bool:
    word = re.match(r"[A-Za-z]+", text)
    if word is None:
        return False
    if _DELAY.match(text) or _SIGNAL.match(text) or _AFTER.match(text):
        return True
    lower = word[0].lower()
    return (
        lower in VERBS
        or lower in ("ask", "retry", "try")
        or (lower.endswith("s") and lower[:-1] in VERBS and " the " in f" {text.lower()} ")
    )


def _clause(found: list[Step], text: str) -> None:
    text = _opened(text.strip(" ,.:"))
    retry = _RETRY.search(text)
    attempts = 0
    if retry and number_of(retry[1] or retry[2] or ""):
        attempts = number_of(retry[1] or retry[2]) or 0
        text = f"{text[: retry.start()]} {text[retry.end() :]}".strip(" ,")
    limit = _TIMEOUT.search(text)
    timeout = duration_of(limit[1], limit[2]) if limit else ""
    if limit and timeout:
        text = f"{text[: limit.start()]} {text[limit.end() :]}".strip(" ,")
    if not text:
        if found:
            _latest(found).attempts = attempts or _latest(found).attempts
            _latest(found).timeout = timeout or _latest(found).timeout
        return
    found.append(_step(text, attempts, timeout))


def _step(text: str, attempts: int, timeout: str) -> Step:
    if delay := _DELAY.match(text):
        return Step("delay", text=duration_of(delay[1], delay[2]))
    if _APPROVAL.search(text):
        return Step("approval", text=text, timeout=timeout)
    if signal := _SIGNAL.match(text):
        return Step("wait", text=signal[1], timeout=timeout)
    return Step("task", text=text, attempts=attempts, timeout=timeout)


def _retry(step: Step, retry: re.Match[str]) -> None:
    _latest([step]).attempts = number_of(retry[1] or retry[2] or "") or 3


def _latest(found: list[Step]) -> Step:
    """Return the step that a clause such as `retry it` is about."""
    step = found[-1]
    return _latest(step.steps) if step.steps else step


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "ch", "sh")) else f"{word}s"
