"""Names of the systems that tasks call, as the topology shows them."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from flowmesh.tasktypes import TASK_TYPES

COMPUTED: Final = "(computed)"
REGISTERED: Final = "service:"
WORKERS: Final = "workers of "


def system_of(task_type: str, config: Mapping[str, Any]) -> str:
    """Return the system that a task calls or whose workers run it; empty for the suite.

    Addresses that templates compute are `(computed)`.
    """
    known = TASK_TYPES.get(task_type)
    if known is None:
        return WORKERS + task_type
    upstream = known.upstream
    if upstream is None:
        return ""
    if service := str(config.get("service") or ""):
        return COMPUTED if "{{" in service else REGISTERED + service
    address = str(config.get(upstream.parameter) or "")
    match upstream.kind:
        case "url":
            return _origin(address)
        case "target":
            return COMPUTED if "{{" in address else f"grpc://{address}"
        case "database":
            return f"db:{address}"
        case "subscribers":
            return "subscribers"


def _origin(url: str) -> str:
    origin = urlsplit(url)
    if "{{" in url.partition("/")[0] or "{{" in origin.netloc or not origin.netloc:
        return COMPUTED
    return f"{origin.scheme}://{origin.netloc}"
