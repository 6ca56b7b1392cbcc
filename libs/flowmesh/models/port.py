"""The port of providers: one turn of a conversation with tools."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from flowmesh.contract.json_value import Json

TURN_TIMEOUT_MS = 60_000
TURN_TOKENS_MAX = 8_192


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that the model wants called."""

    id: str
    name: str
    arguments: dict[str, Json]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of such a call."""

    id: str
    text: str
    is_error: bool = False


Block = Text | ToolUse | ToolResult


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["user", "assistant"]
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that is offered to the model."""

    name: str
    description: str
    schema: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages so far, and the bounds of the next turn."""

    system: str
    messages: Sequence[Message]
    tools: Sequence[Tool]
    tokens_max: int = TURN_TOKENS_MAX
    timeout_ms: int = TURN_TIMEOUT_MS
    # The same for a repeated request, which a service may answer without charge.
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a turn. Those read from and written to a cache are part of `input_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    read_tokens: int = 0
    written_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.read_tokens + other.read_tokens,
            self.written_tokens + other.written_tokens,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer of a provider."""

    blocks: Sequence[Block]
    usage: Usage = field(default_factory=Usage)
    # The model refused, or its answer was cut at the limit of tokens.
    refused: bool = False
    cut: bool = False


class ProviderFailed(Exception):
    """The provider cannot be used now: rate limit, overload, time, an unreadable answer."""

    def __init__(self, class_: str, text: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(text)
        self.class_ = class_
        self.retry_after_ms = retry_after_ms


class Provider(Protocol):
    """A source of turns."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def remote(self) -> bool: ...

    async def turn(self, conversation: Conversation) -> Turn:
        """Return the next turn. Raises ProviderFailed."""
