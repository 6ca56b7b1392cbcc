"""Every command that the pages name is one that there is."""

import re
from collections.abc import Iterator

from cyclopts import App

from flowmesh.suite.main import make_app
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
    app, found = make_app(), list(_named())
    missing = [
        f"{page}: flowmesh {' '.join(words)}" for page, words in found if not _exists(app, words)
    ]
    assert len(found) > 100
    assert not missing, sources.lines(sorted(set(missing)))


def _exists(app: App, words: list[str]) -> bool:
    """Words that follow a group are a command of it; those behind a command are its arguments."""
    chain, apps, rest = app.parse_commands(words)
    return bool(chain) and not (rest and apps[-1].default_command is None)
