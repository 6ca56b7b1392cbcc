"""Every command that the pages name is one that there is."""

import re
from collections.abc import Iterator

from flowmesh.cli.commands import spelling
from flowmesh.cli.commands.entries import Command
from tests.tidy import sources

PAGES = re.compile(r"(README|docs/(?!features|decisions/).+)\.md\Z")
CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
# Behind the beginning of a line, a prompt, a pipe or an assignment; paths and modules are none.
COMMAND = re.compile(r"(?:^|[\s;|&(])flowmesh((?: +[a-z][a-z0-9-]*(?![\w./=*]))+)", re.MULTILINE)


def _named() -> Iterator[tuple[str, list[str]]]:
    """The words behind `flowmesh` in every piece of code, with the page."""
    for page in sources.tracked():
        if PAGES.match(page):
            for block, inline in CODE.findall(sources.text(page)):
                for words in COMMAND.findall(block or inline):
                    yield page, words.split()


def test_commands_of_the_pages_exist() -> None:
    """A command line that is copied out of a page names a command and no group alone."""
    found = list(_named())
    missing = [f"{page}: flowmesh {' '.join(words)}" for page, words in found if not _exists(words)]
    assert len(found) > 100
    assert not missing, sources.lines(sorted(set(missing)))


def _exists(words: list[str]) -> bool:
    """Words that follow a group are a command of it; those behind a command are its arguments."""
    line = spelling.read(words)
    return isinstance(line.entry, Command) or (bool(line.path) and not line.arguments)
