"""The page of the command line and the commands themselves name the same things."""

import re
from pathlib import Path

from flowmesh.cli import app, exit_codes

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text()


def commands() -> set[str]:
    """Every command, those of `get` and `list` with their parent."""
    found = set()
    for name in app:
        if name.startswith("-"):
            continue
        below = [child for child in app[name] if not child.startswith("-")]
        found |= {f"{name} {child}" for child in below} or {name}
    return found


def test_every_command_is_on_the_page() -> None:
    """A command that is added is described."""
    missing = [name for name in commands() if not re.search(rf"`[^`]*\b{name}\b[^`]*`", PAGE)]
    assert missing == []


def test_every_exit_code_is_on_the_page() -> None:
    """With the numbers that scripts rely on."""
    codes = {exit_codes.DONE, exit_codes.FAILED, exit_codes.USAGE, exit_codes.UNREACHABLE}
    assert codes == {0, 1, 2, 3}
    assert all(f"| {code} |" in PAGE for code in codes)
