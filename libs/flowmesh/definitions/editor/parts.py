"""Building blocks of the schemas."""

from collections.abc import Iterable, Mapping
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
ANYTHING: Schema = {}
DURATION: Schema = {
    "type": "string",
    "pattern": r"^(([0-9]{1,15}(\.[0-9]{1,6})?(ms|s|m|h|d))+|P(?=.)[0-9DTHMS.]+)$",
    "examples": ["500ms", "30s", "5m", "1h30m"],
}
_NAME = r"[A-Za-z0-9._:-]{1,128}"
ID: Schema = {"type": "string", "pattern": rf"^{_NAME}$"}
TASK_REF: Schema = {"type": "string", "pattern": rf"^({_NAME}/)?{_NAME}(@[1-9][0-9]{{0,8}})?$"}
JSON_SCHEMA: Schema = {"type": ["object", "boolean", "null"]}
IDS: Schema = {"type": ["array", "null"], "items": ID}
TEMPLATE = r"\{\{"


def document(title: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "title": title, **schema}


def members(
    known: Mapping[str, Schema | bool], *required: str, more: bool = False, text: str = ""
) -> Schema:
    """Return the schema of an object with these members; others are refused unless `more`."""
    schema: Schema = {"type": "object", "properties": dict(known)}
    if required:
        schema["required"] = list(required)
    if not more:
        schema["additionalProperties"] = False
    return described(text, schema)


def optional(
    known: Mapping[str, Schema | bool], *required: str, more: bool = False, text: str = ""
) -> Schema:
    """Return the schema of an object as `members` does, or null."""
    return or_null(members(known, *required, more=more, text=text))


def or_null(schema: Schema) -> Schema:
    """Return the schema of a member that may be null, which means absent."""
    given = schema["type"]
    return {**schema, "type": [*([given] if isinstance(given, str) else given), "null"]}


def described(text: str, schema: Schema) -> Schema:
    return {"description": text, **schema} if text else schema


def anything(about: str) -> Schema:
    return described(about, ANYTHING)


def duration(about: str = "") -> Schema:
    return described(about, or_null(DURATION))


def text(most: int = limits.NAME_CHARACTERS_MAX, about: str = "") -> Schema:
    return described(about, {"type": "string", "maxLength": most})


def number(least: float, most: float, about: str = "", *, kind: str = "number") -> Schema:
    return described(about, {"type": [kind, "null"], "minimum": least, "maximum": most})


def whole(least: int, most: int, about: str = "", *, default: Json = None) -> Schema:
    schema = number(least, most, about, kind="integer")
    return schema if default is None else {**schema, "default": default}


def flag(default: bool, about: str = "") -> Schema:
    return described(about, {"type": ["boolean", "null"], "default": default})


def choice(words: Iterable[str], default: str, about: str = "") -> Schema:
    """Return the schema of one of the words; editors offer them, other cases are accepted."""
    listed = list(words)
    spelled = "|".join(
        "".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in word) for word in listed
    )
    schema = {
        "anyOf": [
            {"enum": listed},
            {"type": "string", "pattern": f"^({spelled})$"},
            {"type": "null"},
        ],
        "default": default,
    }
    return described(about, schema)


def url(*, required: bool = True) -> Schema:
    """Return the schema of a URL: http, https or a template at the beginning."""
    begins = r"^([hH][tT][tT][pP][sS]?://|\{\{)"
    return {
        "type": "string",
        "maxLength": limits.URL_CHARACTERS_MAX,
        "pattern": begins if required else f"{begins}|^$",
    }


def code(about: str) -> Schema:
    most = limits.CODE_CHARACTERS_MAX
    return {"type": "string", "pattern": r"\S", "maxLength": most, "description": about}


HEADERS: Schema = {
    "type": ["object", "null"],
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
LABELS: Schema = {
    "type": ["object", "null"],
    "maxProperties": limits.LABELS_MAX,
    "propertyNames": {"minLength": 1, "maxLength": limits.LABEL_CHARACTERS_MAX},
    "additionalProperties": {"type": "string", "maxLength": limits.LABEL_CHARACTERS_MAX},
}
OTHER_PROJECT: dict[str, Schema] = {
    "project": described("Another project, if it is not the own one.", ID),
    "credential": described(
        "The secret with an API key for that project, such as secret://bank-key.",
        {"type": "string", "pattern": "^secret://"},
    ),
}
CLASSES: Schema = {
    "type": "array",
    "maxItems": limits.RETRY_CLASSES_MAX,
    "items": {"type": "string", "minLength": 1, "maxLength": limits.ID_CHARACTERS_MAX},
    "examples": [["Timeout", "NetworkError", "RateLimitError", "ServerError"]],
}


def retry(multiplier: str, delay: Schema, *, more: bool = False, elapsed: bool = False) -> Schema:
    """Return the schema of a retry policy; `delay` is the format's schema of delays."""
    limit = {"maxElapsed": described("No attempt starts after it.", delay)} if elapsed else {}
    policy = members(
        {
            **limit,
            "maxAttempts": whole(
                1, limits.RETRY_ATTEMPTS_MAX, "Maximum number of attempts, including the first."
            ),
            "initialDelay": delay,
            multiplier: number(1, limits.RETRY_MULTIPLIER_MAX),
            "maxDelay": delay,
            "jitter": number(0, 1, "Share of a delay drawn at random."),
            "retryOn": described("Failure classes that are retried.", CLASSES),
            "neverOn": described(
                "Failure classes that are never retried, even if in retryOn.", CLASSES
            ),
        },
        more=more,
    )
    return or_null(policy)
