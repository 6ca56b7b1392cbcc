"""The providers that the settings of an installation name."""

from collections.abc import Callable, Iterable
from pathlib import Path

from flowmesh.models.claude import ClaudeProvider
from flowmesh.models.copilot import CopilotProvider
from flowmesh.models.openai import OpenAiProvider
from flowmesh.models.port import Provider
from flowmesh.models.services import Sender, Service

_ADAPTERS: dict[str, Callable[[Sender, Service], Provider]] = {
    "claude": ClaudeProvider,
    "openai": OpenAiProvider,
    "copilot": CopilotProvider,
}
Named = tuple[str, str, str, str]
"""A provider as the settings have it: name, URL, model, and the file of its key."""


def configured(named: Iterable[Named], egress: Sender) -> list[Provider]:
    """Return adapters in the order of the settings. Raises OSError for a key without a file."""
    return [
        _ADAPTERS[name](egress, Service(url.rstrip("/"), model, _key(file)))
        for name, url, model, file in named
    ]


def _key(file: str) -> str:
    """Return the key in a file; empty without one."""
    return Path(file).read_text().strip() if file else ""
