"""Schemas of triggers of a native workflow."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ID,
    JSON_SCHEMA,
    Schema,
    anything,
    choice,
    code,
    described,
    members,
    optional,
    text,
    whole,
)
from flowmesh.definitions.triggers import (
    BATCH_WITHIN_MS,
    BATCH_WITHIN_MS_MAX,
    CATCH_UP_DEFAULT,
    CATCH_UP_MAX,
    CATCH_UPS,
    IDENTIFIER_BYTES_MAX,
    MESSAGES_BATCH_MAX,
    OPERATIONS,
    PROVIDERS,
    RETAIN_BYTES,
    RETAIN_BYTES_MAX,
    RETAIN_BYTES_MIN,
    TRIGGERS_MAX,
)

_INPUT = anything("The input of the execution; templates over the trigger's data.")
# Words of graph JSON, also accepted here.
_WORDS = (*(word.upper() for word in PROVIDERS), "GENERIC", "CUSTOM")


def triggers() -> Schema:
    """Return the schema of `spec.triggers`."""
    kinds: dict[str, Schema] = {
        "cron": members(
            {
                "expression": code("Five fields, or six with seconds first; or @daily."),
                "timezone": text(about="As in Europe/Berlin; UTC without it."),
                "catchUp": choice([word.upper() for word in CATCH_UPS], "NONE"),
                "catchUpMax": whole(1, CATCH_UP_MAX, default=CATCH_UP_DEFAULT),
                "input": _INPUT,
            },
            "expression",
        ),
        "event": {
            **members(
                {
                    "type": text(about="Such as order.paid, order.* or flowmesh.workflow.*."),
                    "source": text(limits.URL_CHARACTERS_MAX, "The source of the event."),
                    "filter": text(limits.CODE_CHARACTERS_MAX, "CEL over event."),
                    "input": _INPUT,
                }
            ),
            "minProperties": 1,
        },
        "queue": members(
            {
                "queue": described("A queue of messages of the namespace.", ID),
                "filter": text(limits.CODE_CHARACTERS_MAX, "CEL over message."),
                "batch": whole(
                    0,
                    MESSAGES_BATCH_MAX,
                    "Number of messages that start an execution together; 0 is one each.",
                    default=0,
                ),
                "batchWithinMs": whole(
                    0,
                    BATCH_WITHIN_MS_MAX,
                    "Time in which a batch is collected.",
                    default=BATCH_WITHIN_MS,
                ),
                "input": _INPUT,
            },
            "queue",
        ),
        "change": _change(),
        "webhook": optional(
            {
                "path": ID,
                "provider": choice(_WORDS, "NONE"),
                "secret": text(about="The secret of the provider's signatures."),
                "signatureHeader": text(about="The header of HMAC signatures."),
                "payloadSchema": JSON_SCHEMA,
                "input": _INPUT,
            }
        ),
    }
    return {
        "type": ["array", "null"],
        "maxItems": TRIGGERS_MAX,
        "items": {
            **members({"id": ID, **kinds}, "id"),
            "oneOf": [{"required": [kind]} for kind in kinds],
        },
    }


def _change() -> Schema:
    """Return the schema of a change trigger."""
    operations = [word.upper() for word in OPERATIONS]
    identifier = text(IDENTIFIER_BYTES_MAX)
    return members(
        {
            "database": described("A database that the operator opened for changes.", ID),
            "table": described(
                "Such as orders or shop.orders; the default schema is public.",
                text(2 * IDENTIFIER_BYTES_MAX + 1),
            ),
            "operations": {
                "type": ["array", "null"],
                "items": choice(operations, operations[0]),
                "maxItems": len(operations),
            },
            "filter": text(limits.CODE_CHARACTERS_MAX, "CEL over event."),
            "publication": described("An existing publication of the table.", identifier),
            "signal": described("A signal with the event, sent to the execution.", ID),
            "retainBytesMax": whole(
                RETAIN_BYTES_MIN,
                RETAIN_BYTES_MAX,
                "Write-ahead log that the database keeps for the trigger while it is paused.",
                default=RETAIN_BYTES,
            ),
            "input": _INPUT,
        },
        "database",
        "table",
    )
