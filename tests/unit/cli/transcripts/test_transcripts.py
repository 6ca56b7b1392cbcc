"""Commands of the transcripts: requests, output, documents, exit codes and files.

An entry of a transcript has the words of a command at `run`, those before it at `first`, the
answers of methods, the text of standard input or what a person `types`, `files` and
`environment`. Expected are the requests (`sends`), the exit code, `out`, `err`, the document that
it prints with `--json`, and the files that it `writes`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cli.scripted_suite import ScriptedSuite, called, placed

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.yaml"))


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


@pytest.mark.parametrize("entry", ALL)
def test_a_command_prints_its_transcript(
    entry: dict[str, Any],
    scripted: ScriptedSuite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It sends what it should, and shows the answers as text and as a document."""
    prepare(entry, tmp_path, monkeypatch)
    for words in entry.get("first", ()):
        called(words, entry, scripted, monkeypatch)
    capsys.readouterr()
    code = called(entry["run"], entry, scripted, monkeypatch)
    shown = capsys.readouterr()
    sent = {name: scripted.requests(name) for name in entry.get("sends", {})}
    assert (placed(shown.out, scripted), placed(shown.err, scripted), code) == (
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
            called(words, entry, scripted, monkeypatch)
        capsys.readouterr()
        assert called(f"{entry['run']} --json", entry, scripted, monkeypatch) == code
        assert json.loads(placed(capsys.readouterr().out, scripted)) == entry["json"]


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
