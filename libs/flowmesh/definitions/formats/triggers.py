"""Triggers in documents: a list in native resources, nodes in graph JSON."""

from collections.abc import Iterator

from flowmesh.definitions import limits
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reading.reader import Reader, kind_of, shown
from flowmesh.definitions.triggers import (
    BATCH_WITHIN_MS,
    BATCH_WITHIN_MS_MAX,
    CATCH_UP_DEFAULT,
    CATCH_UP_MAX,
    CATCH_UPS,
    MESSAGES_BATCH_MAX,
    OPERATIONS,
    PROVIDERS,
    RETAIN_BYTES,
    RETAIN_BYTES_MAX,
    RETAIN_BYTES_MIN,
    TRIGGERS_MAX,
    Changes,
    Cron,
    Events,
    Messages,
    Receiver,
    Trigger,
    Webhook,
)

KINDS = ("cron", "event", "webhook", "queue", "change")
_INVALID = "TRIGGER_INVALID"
_CATCH_UPS = tuple(word.upper() for word in CATCH_UPS)
_OPERATIONS = tuple(word.upper() for word in OPERATIONS)
_PROVIDERS = tuple(word.upper() for word in PROVIDERS)
# Words of graph JSON for unknown providers.
_GENERIC = ("GENERIC", "CUSTOM")


def read_triggers(spec: Reader, workflow_id: str) -> tuple[Trigger, ...]:
    """Return the member `triggers` of a workflow."""
    items = spec.items("triggers")
    path: Path = (*spec.path, "triggers")
    if len(items) > TRIGGERS_MAX:
        message = f"a workflow has at most {TRIGGERS_MAX} triggers, this one {len(items)}"
        spec.problems.add(_INVALID, message, path)
        return ()
    found: list[Trigger] = []
    for index, value in enumerate(items):
        if not isinstance(value, dict):
            message = f"a trigger is an object, not {kind_of(value)}"
            spec.problems.add(_INVALID, message, (*path, index))
            continue
        reader = Reader(value, (*path, index), spec.problems)
        trigger = _trigger(reader, workflow_id)
        reader.refuse_unknown()
        if trigger is not None:
            found.append(trigger)
    return tuple(found)


def _trigger(reader: Reader, workflow_id: str) -> Trigger | None:
    trigger_id = reader.identifier("id", "the name of the trigger in this workflow")
    kinds = [kind for kind in KINDS if reader.has(kind)]
    if len(kinds) != 1:
        message = f"a trigger is one of {', '.join(KINDS)}, and this one {len(kinds)} of them"
        reader.problems.add(_INVALID, message, reader.path)
        return None
    body = reader.object(kinds[0])
    source: Cron | Events | Webhook | Messages | Changes
    if kinds[0] == "cron":
        source = read_cron(body)
    elif kinds[0] == "event":
        source = read_events(body)
    elif kinds[0] == "queue":
        source = read_messages(body)
    elif kinds[0] == "change":
        source = read_changes(body)
    else:
        hook = body.identifier("path", "", required=False) or f"{workflow_id}.{trigger_id}"
        source = Webhook(hook, read_receiver(body))
    trigger = Trigger(trigger_id, source, body.path, body.raw("input"), body.has("input"))
    body.refuse_unknown()
    return trigger if trigger_id else None


def trigger_node(node_id: str, data: Reader) -> Iterator[Trigger]:
    """Yield the trigger of a graph JSON node's `config`; none for manual ones."""
    kind = data.raw("triggerType")
    config = data.object("config")
    source: Cron | Events
    member = "cron" if config.has("cron") else "expression"
    if kind == "scheduled":
        source = read_cron(config, member)
    elif kind == "event":
        source = read_events(config, "eventType" if config.has("eventType") else "type")
    else:
        return
    given, has_input = config.raw("input"), config.has("input")
    yield Trigger(node_id, source, config.path, given, has_input, member)


def receiving_node(node_id: str, data: Reader, workflow_id: str) -> Trigger:
    """Return the trigger of a webhook node that starts executions."""
    signal = data.raw("webhookId") if data.has("webhookId") else node_id
    # Problems were noted when the node was read.
    receiver = read_receiver(Reader(data.value, data.path, Problems()))
    source = Webhook(f"{workflow_id}.{signal}", receiver, str(signal))
    return Trigger(node_id, source, data.path)


def read_cron(body: Reader, key: str = "expression") -> Cron:
    most = limits.NAME_CHARACTERS_MAX
    return Cron(
        expression=body.required_text(key, 'a cron expression such as "0 2 * * *"'),
        time_zone=body.text("timezone", most=most),
        catch_up=body.choice("catchUp", _CATCH_UPS, _CATCH_UPS[0]).lower(),
        catch_up_max=body.integer("catchUpMax", CATCH_UP_DEFAULT, 1, CATCH_UP_MAX, _INVALID),
    )


def read_messages(body: Reader) -> Messages:
    batch = body.integer("batch", 0, 0, MESSAGES_BATCH_MAX, _INVALID)
    within = body.integer("batchWithinMs", BATCH_WITHIN_MS, 0, BATCH_WITHIN_MS_MAX, _INVALID)
    return Messages(
        queue=body.identifier("queue", "the name of a queue of messages"),
        filter=body.text("filter", most=limits.CODE_CHARACTERS_MAX),
        batch=batch,
        batch_within_ms=within if batch else 0,
    )


def read_changes(body: Reader) -> Changes:
    return Changes(
        database=body.identifier("database", "the name of a database of FLOWMESH_DATABASES"),
        table=body.required_text("table", "the name of a table, such as shop.orders"),
        operations=_operations(body),
        filter=body.text("filter", most=limits.CODE_CHARACTERS_MAX),
        publication=body.text("publication"),
        signal=body.identifier("signal", "", required=False),
        retain_bytes_max=body.integer(
            "retainBytesMax", RETAIN_BYTES, RETAIN_BYTES_MIN, RETAIN_BYTES_MAX, _INVALID
        ),
    )


def _operations(body: Reader) -> tuple[str, ...]:
    if not body.has("operations"):
        return ()
    items = body.items("operations")
    path: Path = (*body.path, "operations")
    if body.raw("operations") == []:
        body.problems.add(_INVALID, "operations is empty; leave it out for all changes", path)
    found: list[str] = []
    for index, item in enumerate(items):
        word = item.upper() if isinstance(item, str) else ""
        if word not in _OPERATIONS:
            message = f"{shown(item)} is none of {', '.join(_OPERATIONS)}"
            body.problems.add(_INVALID, message, (*path, index))
        elif word.lower() in found:
            body.problems.add(_INVALID, f"{word} is there twice", (*path, index))
        else:
            found.append(word.lower())
    return tuple(found)


def read_events(body: Reader, key: str = "type") -> Events:
    events = Events(
        type=body.text(key),
        source=body.text("source", most=limits.URL_CHARACTERS_MAX),
        filter=body.text("filter", most=limits.CODE_CHARACTERS_MAX),
    )
    if not (events.type or events.source or events.filter):
        message = "an event trigger needs a type, a source or a filter; * as the type is every one"
        body.problems.add(_INVALID, message, body.path)
    return events


def read_receiver(body: Reader) -> Receiver:
    """Return the provider of calls, and the schema of their payload."""
    secret = body.text("secret")
    default = "STANDARD" if secret else "NONE"
    provider = body.choice("provider", (*_PROVIDERS, *_GENERIC), default)
    if provider in _GENERIC:
        provider = "HMAC" if secret else "NONE"
    provider = provider.lower()
    receiver = Receiver(
        provider, secret, body.raw("payloadSchema"), body.text("signatureHeader").lower()
    )
    if provider != "none" and not secret:
        message = f"calls signed as {provider} cannot be checked without a secret"
        body.problems.add(_INVALID, message, body.path)
    if provider == "none" and secret:
        message = "a secret is for signatures; name the provider"
        body.problems.add(_INVALID, message, (*body.path, "secret"))
    return receiver
