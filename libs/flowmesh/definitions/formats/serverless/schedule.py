"""`schedule` of Serverless Workflow as triggers: a cron expression, an interval, events.

The input of an execution is `{}` for schedules, and a list with the one event for events.
"""

import json
from collections.abc import Iterator, Mapping

from flowmesh.definitions import limits
from flowmesh.definitions.formats.serverless.listen import PATTERN_CHARACTERS
from flowmesh.definitions.formats.serverless.values import duration_of, unsupported
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader
from flowmesh.definitions.triggers import TRIGGERS_MAX, Cron, Events, Trigger

# Event attributes that select a trigger.
ATTRIBUTES = ("type", "source")
_EVENT = """{{merge(fromJson('{"specversion": "1.0"}'), event)}}"""
_CLOCKS = (
    # ms of a unit, its number in the next larger unit, and the expression
    (86_400_000, 1, "0 0 * * *"),
    (3_600_000, 24, "0 */{} * * *"),
    (60_000, 60, "*/{} * * * *"),
    (1_000, 60, "*/{} * * * * *"),
)

# Alternative for filters that only listen supports.
_IN_THE_WORKFLOW = "start by type and source, and decide in the workflow with switch"

_Wanted = Mapping[str, str]


def triggers_of(reader: Reader) -> tuple[Trigger, ...]:
    """Return the member `schedule` of a document."""
    if reader.raw("schedule") is None:
        return ()
    schedule = reader.object("schedule")
    found: list[tuple[Cron | Events, Path]] = [*_clocks(schedule)]
    if schedule.has("on"):
        found += _events(schedule.object("on"))
    if schedule.has("after"):
        why = "a workflow does not restart when it ends"
        unsupported(schedule.problems, "schedule.after", (*schedule.path, "after"), why)
    if reader.raw("schedule") == {}:
        message = "a schedule has one of every, cron, on"
        schedule.problems.add("DEFINITION_INVALID", message, schedule.path)
    schedule.refuse_unknown()
    if len(found) > TRIGGERS_MAX:
        message = f"a workflow has at most {TRIGGERS_MAX} triggers, this one {len(found)}"
        schedule.problems.add("TRIGGER_INVALID", message, schedule.path)
        return ()
    return tuple(
        Trigger(
            "schedule" if number == 1 else f"schedule-{number}",
            source,
            path[:-1],
            [_EVENT] if isinstance(source, Events) else {},
            has_input=True,
            member=str(path[-1]),
        )
        for number, (source, path) in enumerate(found, 1)
    )


def _clocks(schedule: Reader) -> Iterator[tuple[Cron, Path]]:
    if schedule.has("cron"):
        expression = schedule.required_text("cron", 'an expression such as "0 2 * * *"')
        yield Cron(expression), (*schedule.path, "cron")
    if schedule.has("every") and (expression := _interval(schedule)):
        yield Cron(expression), (*schedule.path, "every")


def _interval(schedule: Reader) -> str:
    """Return the cron expression of an interval; empty if there is none, which is noted."""
    problems, path = schedule.problems, (*schedule.path, "every")
    before = len(problems.found)
    every_ms = duration_of(schedule, "every")
    if every_ms is None:
        unsupported(problems, "an expression as interval", path, "write the interval out")
    elif every_ms == 0 and len(problems.found) == before:
        problems.add("TIMEOUT_INVALID", "an interval is longer than nothing", path)
    for unit_ms, whole, expression in _CLOCKS:
        count, rest = divmod(every_ms or 0, unit_ms)
        if rest == 0 and count and whole % count == 0:
            return expression.format(count)
    if every_ms:
        why = "the interval must divide a minute, an hour or a day evenly"
        unsupported(problems, f"schedule.every of {every_ms} ms", path, why)
    return ""


def _events(strategy: Reader) -> Iterator[tuple[Events, Path]]:
    problems, path = strategy.problems, strategy.path
    for key, why in (
        ("all", "one event starts an execution, without waiting for others"),
        ("until", "one event starts an execution"),
    ):
        if strategy.has(key):
            unsupported(problems, f"schedule.on.{key}", (*path, key), why)
    kinds = [key for key in ("one", "any", "all") if strategy.has(key)]
    if len(kinds) != 1:
        problems.add("DEFINITION_INVALID", "schedule.on has one of one, any, all", path)
    elif strategy.has("one"):
        wanted, place = _filter(strategy.object("one"))
        yield Events(**wanted), place
    elif strategy.has("any"):
        yield from _any(strategy)
    strategy.refuse_unknown()


def _any(strategy: Reader) -> Iterator[tuple[Events, Path]]:
    """Yield a trigger per filter; an event starts one execution, by the first filter that
    matches.
    """
    items, path = strategy.items("any"), (*strategy.path, "any")
    if not items and strategy.value["any"] == []:
        yield Events(type="*"), path
    before: list[_Wanted] = []
    for index, item in enumerate(items):
        place = (*path, index)
        if not isinstance(item, dict):
            message = "an event filter is an object with `with`"
            strategy.problems.add("DEFINITION_INVALID", message, place)
            continue
        wanted, place = _filter(Reader(item, place, strategy.problems))
        taken = [_condition(each) for each in before if _may_meet(each, wanted)]
        before.append(wanted)
        yield Events(**wanted, filter=" && ".join(f"!({each})" for each in taken)), place


def _filter(event: Reader) -> tuple[dict[str, str], Path]:
    """Return the required attributes of an event, and their path."""
    if event.raw("with") is None:
        event.missing("with", "the type or the source of the event")
    given = event.object("with")
    wanted = {key: text for key in ATTRIBUTES if (text := _attribute(given, key))}
    for key in given.unknown():
        path = (*given.path, key)
        unsupported(event.problems, f"an event filter by {key[:32]}", path, _IN_THE_WORKFLOW)
    if event.raw("with") == {}:
        message = "an event filter needs a type or a source"
        event.problems.add("DEFINITION_INVALID", message, given.path)
    if event.has("correlate"):
        why = "one event starts an execution; listen correlates"
        unsupported(event.problems, "event correlation", (*event.path, "correlate"), why)
    event.refuse_unknown()
    return wanted, given.path


def _attribute(given: Reader, key: str) -> str:
    if not given.has(key):
        return ""
    text = given.text(key, most=limits.URL_CHARACTERS_MAX)
    path = (*given.path, key)
    if "${" in text:
        unsupported(given.problems, "an expression in an event filter", path, _IN_THE_WORKFLOW)
    elif any(character in PATTERN_CHARACTERS for character in text):
        why = "types and sources are compared as they are"
        unsupported(given.problems, "a pattern in an event filter", path, why)
    elif isinstance(given.value[key], str) and not text.strip():
        given.problems.add("DEFINITION_INVALID", f"{key} is empty", path)
    return text


def _may_meet(one: _Wanted, other: _Wanted) -> bool:
    """Return whether an event may match both filters."""
    return all(other.get(key, text) == text for key, text in one.items())


def _condition(wanted: _Wanted) -> str:
    """Return the CEL condition for an event with these attributes."""
    return " && ".join(
        f"event.{key} == {json.dumps(text, ensure_ascii=False)}" for key, text in wanted.items()
    )
