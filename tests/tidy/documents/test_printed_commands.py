"""Commands that pages and messages print, read as the command line reads them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowmesh.cli.commands import spelling
from flowmesh.cli.commands.entries import Command
from flowmesh.cli.completion.options import signature

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(each for each in (ROOT / "docs").rglob("*.md") if each.parent.name != "decisions"),
]
SOURCES = sorted(
    each
    for folder in ("libs", "services")
    for each in (ROOT / folder).rglob("*")
    if each.suffix in (".py", ".toml") and "build" not in each.parts
)
FENCED = re.compile(r"^```(?:bash|sh|console|text)?[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"(?:^|\$ |\||&& )\s*flowmesh ([^\n]*)", re.MULTILINE)
INLINE = re.compile(r"`flowmesh ([^`\n]+)`")
# What ends a command in a line of a shell, or begins another one.
END = re.compile(r"\s(?:--|\||&&|>|2>|#|;|&)(?:\s|$)|\s&$")
COMMON = spelling.VALUED | spelling.FLAGS | spelling.HELP
KNOWN_MIN = 400


def _printed(text: str, *, is_page: bool) -> Iterator[str]:
    if is_page:
        for block in FENCED.findall(text):
            yield from LINE.findall(block.replace("\\\n", " "))
        text = FENCED.sub("", text)
    yield from INLINE.findall(text)


def _words(command: str) -> list[str]:
    command = END.split(command, maxsplit=1)[0]
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _alternatives(words: list[str]) -> Iterator[list[str]]:
    """Yield the command of each of the words in `search|verify` and `pause/resume`."""
    for at, word in enumerate(words[:3]):
        if re.fullmatch(r"[a-z-]+(?:[|/][a-z-]+)+", word):
            for each in re.split(r"[|/]", word):
                yield from _alternatives([*words[:at], each, *words[at + 1 :]])
            return
    yield words


def _problem(words: list[str]) -> str:
    """Return what the command line would refuse; empty if nothing."""
    if not words or not re.match(r"[a-z-]", words[0]) or words[0].startswith("-"):
        return ""
    line = spelling.read(words)
    if line.entry is None:
        return "no such command"
    if not isinstance(line.entry, Command):
        rest = [each for each in line.arguments if re.match(r"[a-z]", each)]
        return f"no such command below {line.words}: {rest[0]}" if rest else ""
    names = {name for option in signature(line.path).options for name in option.names} | COMMON
    for word in line.arguments:
        name = re.match(r"\[?(--[a-z][a-z-]*)", word)
        if name is not None and name[1] not in names:
            return f"{line.words} has no option {name[1]}"
    return ""


@pytest.mark.parametrize("files", [PAGES, SOURCES], ids=["pages", "sources"])
def test_each_printed_command_exists(files: list[Path]) -> None:
    """With each of its options."""
    known, problems = 0, []
    for file in files:
        for command in _printed(file.read_text(), is_page=file.suffix == ".md"):
            for words in _alternatives(_words(command)):
                known += 1
                if problem := _problem(words):
                    problems.append(f"{file.relative_to(ROOT)}: flowmesh {command}: {problem}")
    assert not problems, "\n".join(problems)
    assert known > KNOWN_MIN if files is PAGES else known
