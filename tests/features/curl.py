"""Runs curl commands as they are written, against the suite instead of the host they name.

Knows the options that the samples use and sends what curl would: a POST where there is data, and
its default content type where no other is given.
"""

import re
import shlex
from pathlib import Path
from typing import Any

from flowmesh.testing.suite import Response, Suite

SAMPLES = Path(__file__).with_name("samples")
HOST = "http://localhost:3000"
FORM = "application/x-www-form-urlencoded"
_OTHER_HOSTS = re.compile(r"http://(?!localhost)([a-z-]+)/")


def commands(name: str) -> list[str]:
    """The commands of a sample file, each with the lines that belong to it."""
    text = (SAMPLES / name).read_text()
    return [f"curl {command}" for command in re.split(r"^curl ", text, flags=re.M)[1:]]


def in_world(command: str, address: str) -> str:
    """The command with the services that steps call replaced by a world at the address."""
    return _OTHER_HOSTS.sub(rf"{address}/\1/", command)


async def run(suite: Suite, command: str) -> Response:
    """Sends what curl would send."""
    method, data, path = "", None, ""
    headers = {"accept": "*/*"}
    words = iter(shlex.split(command.replace("\\\n", " ")))
    assert next(words) == "curl"
    for word in words:
        match word:
            case "-s":
                pass
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(":")
                headers[name.strip().lower()] = value.strip()
            case "-d":
                data = _data(next(words))
            case _:
                assert word.startswith(HOST), word
                path = word.removeprefix(HOST)
    options: dict[str, Any] = {"headers": headers}
    if data is not None:
        headers.setdefault("content-type", FORM)
        options["data"] = data
    return await suite.request(method or ("POST" if data is not None else "GET"), path, **options)


def _data(word: str) -> bytes:
    if word.startswith("@"):
        return (SAMPLES / word.removeprefix("@")).read_bytes()
    return word.encode()
