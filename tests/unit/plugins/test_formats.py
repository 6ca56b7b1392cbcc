"""Formats: their readers run from memory, in a process that can only compute."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from flowmesh.errors import Invalid
from flowmesh.fleet.plugins.reading import Reader
from flowmesh.plugins import limits
from flowmesh.plugins.computing import Function
from flowmesh.sandbox import Sandbox

MODULES = {
    "words/__init__.py": "",
    "words/parts.py": "def parts(text):\n    return text.split()\n",
    "words/reader.py": (
        "from words.parts import parts\n\ndef read(text):\n    return {'parts': parts(text)}\n"
    ),
}


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    async with Sandbox(children_max=1) as sandbox:
        yield Reader(sandbox)


def function(body: str = "") -> Function:
    """Return a reader, by default that of the modules."""
    changed = {"words/reader.py": f"def read(text):\n    {body}\n"} if body else {}
    return Function("words.reader:read", MODULES | changed)


async def test_a_reader_imports_its_own_modules(reader: Reader) -> None:
    """One document is a list of one."""
    found = await reader.read("words", function(), "a b")
    assert msgspec.json.decode(found) == [{"parts": ["a", "b"]}]


@pytest.mark.parametrize(
    ("metadata", "labelled"),
    [
        ("{}", {"labels": {"flowmesh.io/format": "words"}}),
        ("{'labels': {'a': 'b'}}", {"labels": {"a": "b", "flowmesh.io/format": "words"}}),
        ("{'labels': 7}", {"labels": 7}),
        ("7", 7),
    ],
)
async def test_documents_name_their_format(reader: Reader, metadata: str, labelled: object) -> None:
    """By a label, unless the metadata is none: the registration refuses it."""
    found = await reader.read("words", function(f"return {{'metadata': {metadata}}}"), "")
    assert msgspec.json.decode(found) == [{"metadata": labelled}]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError('line 2 has no step')", "the text was not read: .*line 2 has no step"),
        ("return 'text'", "neither a document nor a list"),
        ("return []", "neither a document nor a list"),
        ("return open('/etc/passwd').read()", "the text was not read"),
        ("import socket", "the text was not read: .*socket"),
        ("import os; os.fork()", "the text was not read"),
        ("return [0] * 10 ** 10", "the text was not read"),
    ],
)
async def test_a_reader_that_fails_or_reaches_out_is_refused(
    reader: Reader, body: str, sentence: str
) -> None:
    """The refusal has the error of the reader; the next call works."""
    with pytest.raises(Invalid, match=sentence) as caught:
        await reader.read("words", function(body), "")
    assert caught.value.reason == "PLUGIN_FAILED"
    assert await reader.read("words", function(), "a") == '[{"parts":["a"]}]'


async def test_a_text_that_is_too_long_is_refused(reader: Reader) -> None:
    """The bound is in bytes, and no process starts for such a text."""
    text = "ü" * (limits.TEXT_BYTES_MAX // 2)
    await reader.read("words", function("return {}"), text)
    with pytest.raises(Invalid, match="text: more than 1 MiB"):
        await reader.read("words", function("return {}"), text + "a")
