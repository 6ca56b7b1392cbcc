"""Commands of the transcripts: requests, output, documents, exit codes and files.

An entry of a transcript has the words of a command at `run`, those before it at `first`, the
answers of methods, the text of standard input or what a person `types`, `files` and
`environment`. Expected are the requests (`sends`), the exit code, `out`, `err`, the document that
it prints with `--json`, and the files that it `writes`.
"""

import io
import json
import os
import shlex
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowmesh.cli import common, output
from flowmesh.cli.command_line import run
from tests.unit.cli.scripted_suite import ScriptedSuite

ADDRESS = "127.0.0.1:7450"
"""In transcripts, the address of the suite."""
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.yaml"))


def entries(file: Path) -> list[dict[str, Any]]:
    """Return the entries of a file, with the answers that all of them share."""
    page = yaml.load(file.read_text(), yaml.CSafeLoader)
    shared = page.get("answers", {})
    return [each | {"answers": shared | each.get("answers", {})} for each in page["commands"]]


ALL = [
    pytest.param(entry, id=f"{file.stem}: {entry['run']}")
    for file in TRANSCRIPTS
    for entry in entries(file)
]


@pytest.fixture(scope="module")
def suite() -> Iterator[ScriptedSuite]:
    """One server for all entries."""
    with ScriptedSuite().serving() as scripted, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FLOWMESH_")]:
            patch.delenv(name)
        patch.setenv("FLOWMESH_ADDRESS", scripted.address)
        patch.setenv("USER", "ada")
        patch.setenv("TZ", "UTC")
        time.tzset()
        patch.setattr(output, "now", lambda: NOW)
        patch.setattr(common, "CONNECT_TIMEOUT_S", 20.0)
        yield scripted
    time.tzset()


@pytest.mark.parametrize("entry", ALL)
def test_a_command_prints_its_transcript(
    entry: dict[str, Any],
    suite: ScriptedSuite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It sends what it should, and shows the answers as text and as a document."""
    prepare(entry, tmp_path, monkeypatch)
    for words in entry.get("first", ()):
        called(words, entry, suite, monkeypatch)
    capsys.readouterr()
    code = called(entry["run"], entry, suite, monkeypatch)
    shown = capsys.readouterr()
    sent = {name: suite.requests(name) for name in entry.get("sends", {})}
    assert (placed(shown.out, suite), placed(shown.err, suite), code) == (
        entry.get("out", ""),
        entry.get("err", ""),
        entry.get("code", 0),
    )
    assert sent == {name: listed(each) for name, each in entry.get("sends", {}).items()}
    for name, text in entry.get("writes", {}).items():
        assert (tmp_path / name).read_text() == text
    if "json" in entry:
        prepare(entry, tmp_path / "document", monkeypatch)
        for words in entry.get("first", ()):
            called(words, entry, suite, monkeypatch)
        capsys.readouterr()
        assert called(f"{entry['run']} --json", entry, suite, monkeypatch) == entry.get("code", 0)
        assert json.loads(placed(capsys.readouterr().out, suite)) == entry["json"]


def placed(text: str, suite: ScriptedSuite) -> str:
    """Return the text with the address that the suite has in transcripts."""
    return text.replace(suite.address, ADDRESS)


def called(
    words: str, entry: dict[str, Any], suite: ScriptedSuite, monkeypatch: pytest.MonkeyPatch
) -> int:
    """Run a command with the standard input and the answers of an entry; return its code."""
    stdin = io.TextIOWrapper(io.BytesIO(entry.get("stdin", entry.get("types", "")).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    if "types" in entry:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    suite.play(entry["answers"])
    return run(shlex.split(words))


def prepare(entry: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter a folder with the files of the entry, and set its environment."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
    for name, value in entry.get("environment", {}).items():
        monkeypatch.setenv(name, value)
    for name, text in entry.get("files", {}).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    if entry.get("terminal"):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)


def listed(requests: Any) -> list[Any]:
    return requests if isinstance(requests, list) else [requests]
