"""The members `limits`, `requires`, `permissions` and `secrets`, the same in all native formats."""

from flowmesh.definitions import limits as bounds
from flowmesh.definitions.model import Limits
from flowmesh.definitions.reading.reader import Reader, is_id


def read_limits(reader: Reader) -> Limits | None:
    """Return the `limits` of a workflow or of a task in it."""
    if reader.raw("limits") is None:
        return None
    found = reader.object("limits")
    most = bounds.LIMIT_CONCURRENCY_MAX
    limits = Limits(
        concurrency=found.integer("concurrency", 0, 0, most),
        rate=found.number("rate", 0.0, 0.0, bounds.LIMIT_RATE_MAX),
        burst=found.integer("burst", 0, 0, most),
        key=found.text("key", most=bounds.CODE_CHARACTERS_MAX),
        retries=found.number("retries", 0.0, 0.0, bounds.LIMIT_RETRIES_MAX),
        path=found.path,
    )
    found.refuse_unknown()
    return limits


def read_permissions(reader: Reader) -> tuple[str, ...]:
    """Return the permissions that the starter of an execution needs for a task."""
    return _names(reader, "permissions", bounds.PERMISSIONS_MAX)


def read_secrets(reader: Reader, *, remote: bool) -> tuple[str, ...]:
    """Return the secrets that a task declares for its remote workers."""
    names = _names(reader, "secrets", bounds.TASK_SECRETS_MAX)
    if names and not remote:
        message = "secrets are for task types of your workers; built-in tasks declare none"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, "secrets"))
    return names


def _names(reader: Reader, key: str, most: int) -> tuple[str, ...]:
    names = reader.identifiers(key)
    if len(names) > most:
        message = f"{key} holds {len(names)} names; at most {most} are allowed"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, key))
    return tuple(sorted(set(names)))


def read_requires(reader: Reader) -> dict[str, str]:
    """Return the labels required of a task's workers."""
    if reader.raw("requires") is None:
        return {}
    found = reader.object("requires")
    labels = {}
    for name, value in found.value.items():
        if is_id(name) and isinstance(value, str) and is_id(value):
            labels[name] = value
        else:
            message = "a label is a name and a text of A-Z a-z 0-9 . _ : - (quote true and numbers)"
            found.problems.add("DEFINITION_INVALID", message, (*found.path, name))
    if len(found.value) > bounds.REQUIRES_MAX:
        message = (
            f"requires holds {len(found.value)} labels; at most {bounds.REQUIRES_MAX} are allowed"
        )
        found.problems.add("DEFINITION_INVALID", message, found.path)
    return labels
