"""Triggers in sentences: schedules, events, webhooks and messages."""

import re

from flowmesh.contract.json_value import Json

# A trigger ends within the first of these; the search in a longer text would be slow.
TRIGGER_CHARACTERS = 300
_DAYS = {
    "sunday": "0", "monday": "1", "tuesday": "2", "wednesday": "3", "thursday": "4",
    "friday": "5", "saturday": "6", "weekday": "1-5", "weekdays": "1-5", "weekend": "0,6",
}  # fmt: skip
_AT = (
    r"(?:\s+at\s+(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s*(?P<half>am|pm)?(?:\s*o'?clock)?"
    r"|\s+at\s+(?P<named>noon|midnight))?"
)
_DAY = re.compile(
    r"^(?:every|each|on|daily)\s*(?P<day>day|morning|evening|night|weekdays?|weekend|"
    r"(?:sun|mon|tues|wednes|thurs|fri|satur)days?)?" + _AT + r",?\s+",
    re.IGNORECASE,
)
_EVERY = re.compile(r"^every\s+(?:(\d+)\s+)?(minute|hour)s?,?\s+", re.IGNORECASE)
_WORDS = re.compile(r"^(hourly|weekly|monthly)" + _AT + r",?\s+", re.IGNORECASE)
_MONTH = re.compile(
    r"^(?:every month|on the first (?:day )?of (?:every|each|the) month)" + _AT + r",?\s+",
    re.IGNORECASE,
)
_WEBHOOK = re.compile(r"^(?:when|whenever|on)\b[^,]*\bwebhook\b[^,]*,\s*", re.IGNORECASE)
_QUEUE = re.compile(
    r"^(?:when|whenever|for)\b[^,]*\bmessages?\b[^,]*\bqueue\s+[`'\"]?([\w-]+)[`'\"]?[^,]*,\s*",
    re.IGNORECASE,
)
_QUEUE_BEFORE = re.compile(
    r"^(?:when|whenever|for)\b[^,]*\bmessages?\b[^,]*\bthe\s+([\w-]+)\s+queue\b[^,]*,\s*",
    re.IGNORECASE,
)
_NAMED_EVENT = re.compile(
    r"^(?:when|whenever|on)\b[^,]*?[`'\"]?\b(\w+(?:\.\w+)+)\b[`'\"]?[^,]*,\s*", re.IGNORECASE
)
_EVENT = re.compile(
    r"^(?:when|whenever)\s+(?:an?|the|some)\s+(?:new\s+)?([\w-]+)\s+"
    r"(?:is|was|gets|has been|are)\s+([\w-]+),\s*",
    re.IGNORECASE,
)
_ARRIVES = re.compile(
    r"^(?:when|whenever)\s+(?:an?|the|some)\s+(?:new\s+)?([\w-]+)\s+"
    r"(arrives|comes in|registers|signs up|fails|expires|starts|ends),\s*",
    re.IGNORECASE,
)
_PAST = {
    "arrives": "arrived", "comes in": "arrived", "registers": "registered",
    "signs up": "registered", "fails": "failed", "expires": "expired", "starts": "started",
    "ends": "ended",
}  # fmt: skip
_TIMES = {"morning": "8", "evening": "18", "night": "0"}


def trigger_of(prompt: str) -> tuple[dict[str, Json] | None, str]:
    """Return the trigger at the start of a prompt, if any, and the rest."""
    for pattern, read in _PATTERNS:
        found = pattern.match(prompt[:TRIGGER_CHARACTERS])
        if found and (trigger := read(found)) is not None:
            return trigger, prompt[found.end() :]
    return None, prompt


def _cron(expression: str) -> dict[str, Json]:
    return {"id": "schedule", "cron": {"expression": expression}}


def _clock(found: re.Match[str], hour: str = "0") -> str:
    """Return minute and hour of the time that a sentence names."""
    if found["named"]:
        return f"0 {12 if found['named'].lower() == 'noon' else 0}"
    if not found["hour"]:
        return f"0 {hour}"
    value = int(found["hour"]) % 24
    if (found["half"] or "").lower() == "pm" and value < 12:
        value += 12
    if (found["half"] or "").lower() == "am" and value == 12:
        value = 0
    return f"{int(found['minute'] or 0)} {value}"


def _daily(found: re.Match[str]) -> dict[str, Json] | None:
    day = (found["day"] or "").lower()
    if not day and not found[0].lower().startswith("daily"):
        return None
    single = day if day in _DAYS else day.removesuffix("s")
    return _cron(f"{_clock(found, _TIMES.get(day, '0'))} * * {_DAYS.get(single, '*')}")


def _every(found: re.Match[str]) -> dict[str, Json]:
    step = f"*/{found[1]}" if found[1] else "*"
    return _cron(f"{step} * * * *" if found[2].lower() == "minute" else f"0 {step} * * *")


def _worded(found: re.Match[str]) -> dict[str, Json]:
    word = found[1].lower()
    if word == "hourly":
        return _cron("0 * * * *")
    return _cron(f"{_clock(found)} {'* * 1' if word == 'weekly' else '1 * *'}")


def _event(kind: str) -> dict[str, Json]:
    return {"id": "event", "event": {"type": kind, "input": {"event": "{{event.data}}"}}}


_PATTERNS = (
    (_MONTH, lambda found: _cron(f"{_clock(found)} 1 * *")),
    (_EVERY, _every),
    (_WORDS, _worded),
    (_DAY, _daily),
    (_WEBHOOK, lambda _: {"id": "call", "webhook": {}}),
    (_QUEUE, lambda found: {"id": "messages", "queue": {"queue": found[1]}}),
    (_QUEUE_BEFORE, lambda found: {"id": "messages", "queue": {"queue": found[1]}}),
    (_NAMED_EVENT, lambda found: _event(found[1])),
    (_EVENT, lambda found: _event(f"{found[1].lower()}.{found[2].lower()}")),
    (_ARRIVES, lambda found: _event(f"{found[1].lower()}.{_PAST[found[2].lower()]}")),
)
