"""Messages, and the interface that all brokers share."""

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.contract.json_value import Json

_GIVEN_ID: ContextVar[str] = ContextVar("flowmesh_message_id", default="")
MESSAGE_BYTES_MAX = 1024 * 1024
TOPIC_CHARACTERS_MAX = 200
REASON_HEADER = "fm-reason"
_TOPIC = re.compile(r"[A-Za-z0-9_$:/-]+(?:\.[A-Za-z0-9_$:/-]+)*\Z")
_PATTERN = re.compile(r"(?:\*|[A-Za-z0-9_$:/-]+)(?:\.(?:\*|[A-Za-z0-9_$:/-]+))*(?:\.>)?\Z|>\Z")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a receiver gets it; `attempt` counts from 1."""

    topic: str
    value: Json
    id: str = ""
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 1


Receive = Callable[[Message], Awaitable[Any]]
"""Handles a message; an exception asks for another attempt."""

Log = Callable[..., None]
"""Writes a record: level, message, and fields by name."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription. `name` is stable, so that a durable broker finds it again."""

    topic: str
    name: str
    receive: Receive
    concurrency: int = 1

    def takes(self, topic: str) -> bool:
        return fits(self.topic, topic)


class Broker(Protocol):
    """Publishes and delivers messages at least once, in order for each key."""

    async def publish(
        self, topic: str, value: Json, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> str:
        """Publish a message and return its id, once the broker has it. Raises HttpProblem."""

    def subscribe(self, subscription: Subscribed) -> None:
        """Add a subscription before `open`. Raises HttpProblem for a wrong topic."""

    async def start(self) -> None:
        """Connect. Raises Unavailable."""

    async def open(self) -> None:
        """Begin to deliver."""

    async def close(self) -> None:
        """Take no more messages from outside; running receivers end, and `publish` still works.

        A broker in memory delivers what was published so far. May be called again.
        """

    async def stop(self) -> None:
        """Disconnect; nothing can be published any more."""

    async def health(self) -> str:
        """Return the problem, or an empty string."""


def new_id() -> str:
    """Return the id of a new message: that of `message_id_of`, or a random one."""
    return _GIVEN_ID.get() or secrets.token_hex(12)


@contextmanager
def message_id_of(effect: str) -> Iterator[None]:
    """Derive the id of the message in the block from an effect, which may happen again."""
    if not effect:
        yield
        return
    token = _GIVEN_ID.set(hashlib.blake2b(effect.encode(), digest_size=12).hexdigest())
    try:
        yield
    finally:
        _GIVEN_ID.reset(token)


def fits(pattern: str, topic: str) -> bool:
    """Return whether a topic fits a pattern: `*` is one word, `>` at the end the rest."""
    if "*" not in pattern and ">" not in pattern:
        return pattern == topic
    wanted, words = pattern.split("."), topic.split(".")
    for index, word in enumerate(wanted):
        if word == ">":
            return len(words) > index
        if index >= len(words) or word not in ("*", words[index]):
            return False
    return len(wanted) == len(words)


def check_topic(topic: str) -> str:
    """Return the topic. Raises HttpProblem unless it is words between dots."""
    if len(topic) > TOPIC_CHARACTERS_MAX or not _TOPIC.match(topic):
        text = f"a topic is words of letters, digits, _ and - between dots, not {topic[:60]!r}"
        raise HttpProblem(422, "TOPIC_INVALID", text)
    return topic


def check_pattern(pattern: str) -> str:
    """Return the pattern. Raises HttpProblem unless it is a topic with * and > as words."""
    if len(pattern) > TOPIC_CHARACTERS_MAX or not _PATTERN.match(pattern):
        text = f"a topic has words between dots, * for one and > for the rest, not {pattern[:60]!r}"
        raise HttpProblem(422, "TOPIC_INVALID", text)
    return pattern


def encoded(value: Json) -> bytes:
    """Return a value as JSON. Raises HttpProblem if it is none, or too large."""
    try:
        body = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise HttpProblem(422, "MESSAGE_INVALID", "a message must be writable as JSON") from None
    if len(body) > MESSAGE_BYTES_MAX:
        text = f"a message has at most {MESSAGE_BYTES_MAX} bytes, not {len(body)}"
        raise HttpProblem(413, "MESSAGE_TOO_LARGE", text)
    return body


def reason_of(error: BaseException) -> str:
    text = getattr(error, "detail", "") or str(error) or type(error).__name__
    return str(text)[:500]
