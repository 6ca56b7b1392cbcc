"""The tutorial as a reader goes through it: one folder, one suite, page after page."""

from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from flowmesh.testing.polling import pause
from flowmesh.testing.suite import Suite
from tests.features.blocks import blocks, fits
from tests.features.terminal import Terminal

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "tutorial"
SUBJECTS = ("retry", "approval", "schedule", "test", "change", "deploy", "secure", "stuck")
PAGES = [FOLDER / f"{number}-{subject}.md" for number, subject in enumerate(SUBJECTS, 1)]

# What these list is there a moment longer: the worker of the page before.
LISTS = ("flowmesh workers", "flowmesh services", "flowmesh queues")
LOOKS = 10


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.feature("S0-127")
async def test_a_reader_goes_through_the_tutorial(tmp_path: Path) -> None:
    """Files are saved under their names, commands run as written and print what the page shows."""
    folder = tmp_path / "shop"
    folder.mkdir()
    async with Suite(tmp_path / "data") as suite:
        terminal = Terminal(folder, suite, HOME=str(folder))
        for page in PAGES:
            await follow(terminal, folder, page.read_text())


async def follow(terminal: Terminal, folder: Path, page: str) -> None:
    """Go through a page; what it serves ends with it."""
    async with AsyncExitStack() as stack:
        output = await stack.enter_async_context(terminal.session())
        for block in blocks(page):
            if title := block.value("title"):
                (folder / title).write_text(block.text)
            elif block.serves:
                ((command, _),) = block.commands
                await stack.enter_async_context(terminal.serving(command))
            elif not block.value("norun"):
                for command, shown in block.commands:
                    printed = await output(command, int(block.value("exit") or 0))
                    for _ in range(LOOKS if command in LISTS else 0):
                        if not fits(shown, printed):
                            await pause(1)
                            printed = await output(command, 0)
                    assert fits(shown, printed), f"$ {command}\n{printed}"


def test_the_tutorial_has_these_pages() -> None:
    """Each leads to the next one, and the index to the first."""
    assert sorted(FOLDER.glob("*.md")) == PAGES
    for page, following in pairwise(PAGES):
        assert f"]({following.name})" in page.read_text()
    assert f"(tutorial/{PAGES[0].name})" in (FOLDER.parent / "README.md").read_text()
