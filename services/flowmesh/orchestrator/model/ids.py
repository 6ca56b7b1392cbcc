"""Execution ids: ordered by time, unique without coordination, with their partition.

    exec-<9 digits: ms since 1970><9 digits: process and counter><2 digits: partition>

The two last digits have room for 1,024 partitions: cell k has 64 k to 64 k + 63.
Digits are Crockford's base 32, lower case. Ordered ids keep new rows together in every index;
random ones cost up to five times the write-ahead log.
"""

import hashlib
import re
from collections.abc import Callable

from flowmesh.jsontext.integers import is_whole

PARTITION_COUNT = 64
PREFIX = "exec-"
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_ID = re.compile(f"{PREFIX}[{_DIGITS}]{{20}}")
_COUNTER_BITS = 20
_PROCESS_BITS = 25
_DIGEST = re.compile("[0-9a-f]{64}")


NewId = Callable[[int], str]
"""Returns a new execution id in a partition."""


def is_digest(text: str) -> bool:
    """Return whether the text has the form of a payload digest."""
    return _DIGEST.fullmatch(text) is not None


def _digits(value: int, width: int) -> str:
    text = ""
    for _ in range(0, width, 2):
        text = _PAIRS[value & 1023] + text
        value >>= 10
    return text[-width:]


class ExecutionIds:
    """Generates ids. `process` is a number of 25 bits that no other live process has."""

    def __init__(self, process: int, cell: int = 0) -> None:
        self._first = PARTITION_COUNT * cell
        self._process = (process & ((1 << _PROCESS_BITS) - 1)) << _COUNTER_BITS
        self._counter = 0

    def make(self, now_us: int, partition: int) -> str:
        self._counter = (self._counter + 1) & ((1 << _COUNTER_BITS) - 1)
        unique = self._process | self._counter
        place = self._first + partition
        return f"{PREFIX}{_digits(now_us // 1000, 9)}{_digits(unique, 9)}{_digits(place, 2)}"


def first_id_of(time_us: int) -> str:
    """Return a bound: every id generated before this time is smaller."""
    return f"{PREFIX}{_digits(time_us // 1000, 9)}"


def made_at_us_of(execution_id: str) -> int:
    """Return the time at which a well-formed id was made, in whole milliseconds."""
    value = 0
    for digit in execution_id[len(PREFIX) : len(PREFIX) + 9]:
        value = value * 32 + _VALUES[digit]
    return value * 1_000


def partition_of(execution_id: str) -> int | None:
    """Return the partition in an execution id of any cell; None if the id is malformed."""
    if _ID.fullmatch(execution_id) is None:
        return None
    return (_VALUES[execution_id[-2]] * 32 + _VALUES[execution_id[-1]]) % PARTITION_COUNT


def partition_of_request(namespace: str, request_id: str) -> int:
    """Return the partition of starts with this request id; repeats reach the same owner."""
    key = f"{namespace}\0{request_id}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=4).digest()) % PARTITION_COUNT


def partition_of_key(namespace: str, workflow_id: str, key: str) -> int:
    """Return the partition of starts that share a key of their workflow's start policy."""
    return partition_of_request(namespace, f"{workflow_id}\0{key}")


def token_of(execution_id: str, node: str, attempt: int) -> str:
    """Return the token of one attempt of a node; opaque to other services."""
    return f"{execution_id}|{node}|{attempt}"


def marked(token: str, mark: str) -> str:
    """Return the token of an attempt that was sent ahead of its commit."""
    return f"{token}|{mark}"


def unmarked(token: str) -> tuple[str, str]:
    """Return the token without its mark, and the mark; empty if it has none."""
    if token.count("|") != 3:
        return token, ""
    plain, _, mark = token.rpartition("|")
    return plain, mark


def parse_token(token: str) -> tuple[str, str, int] | None:
    """Return execution, node and attempt of a token; None if it is malformed."""
    parts = token.split("|")
    if len(parts) != 3 or not is_whole(parts[2]):
        return None
    return parts[0], parts[1], int(parts[2])
