"""`python -m tests.badinput.fuzz MINUTES`: every parser in turn, with mutations of its corpus."""

import sys
import time

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.badinput.targets import TARGETS, corpus, tried

ROUND = 300
MINUTES = 5.0
TOKENS = (
    b"{{", b"}}", b"[", b"]", b"{", b"}", b'"', b"'", b"\\", b"\0", b"\xff", b"\xed\xa0\x80",
    b"9" * 30, b"(" * 80, b"[" * 80, b"a" * 5_000, b"\n", b"\r\n", b": ", b"- ", b"&a ", b"*a",
    b"<<: ", b"!!", b"__class__", b".", b"..", b"=>", b"**", b"$ref", b"null", b"1e999", b"-0",
    "\u202e".encode(), "\u0661".encode(), b"<!DOCTYPE", b"&x;", b"%0d%0a",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """An entry of the corpus after a few cuts, doublings and insertions; or any bytes."""
    entries = corpus(name)
    data = draw(st.sampled_from(entries) | st.binary(max_size=200))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 40)))
        edit = draw(st.sampled_from(("insert", "cut", "double", "splice", "byte")))
        if edit == "insert":
            data = data[:at] + draw(st.sampled_from(TOKENS)) + data[at:]
        elif edit == "cut":
            data = data[:at] + data[to:]
        elif edit == "double":
            data = data[:to] + data[at:to] * draw(st.integers(1, 50)) + data[to:]
        elif edit == "splice":
            data = data[:at] + draw(st.sampled_from(entries))[at:]
        else:
            data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
    return data


def fuzz(name: str, count: int, number: int) -> None:
    """So many calls of one target; the same for the same number."""

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(name))
    def run(data: bytes) -> None:
        tried(name, data)

    run()


def main(minutes: float) -> None:
    until, number = time.monotonic() + minutes * 60, time.time_ns() % 10**9
    calls = dict.fromkeys(TARGETS, 0)
    while time.monotonic() < until:
        for name in TARGETS:
            fuzz(name, ROUND, number)
            calls[name] += ROUND
        number += 1
    for name, count in calls.items():
        print(f"{name:12} {count:8,} calls, nothing found")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES)
