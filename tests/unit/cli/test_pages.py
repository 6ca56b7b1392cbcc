"""The page of the command line and the commands themselves name the same things."""

import re
from importlib import import_module
from pathlib import Path

from flowmesh.cli import app, command_line, exit_codes

# Commands without common options, which cannot fail.
WITHOUT_OPTIONS = {"definitions.checking:schema"}
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text()


def commands() -> set[str]:
    """All commands, those of `get` and `list` with their parent."""
    found = set()
    for name in app:
        if name.startswith("-"):
            continue
        below = [child for child in app[name] if not child.startswith("-")]
        found |= {f"{name} {child}" for child in below} or {name}
    return found


def test_every_command_is_on_the_page() -> None:
    """A new command must be described."""
    missing = [name for name in commands() if not re.search(rf"`[^`]*\b{name}\b[^`]*`", PAGE)]
    assert missing == []


def test_all_commands_report_their_failures() -> None:
    """The decorator `command` turns failures into one line and an exit code."""
    tables = [
        rows
        for name, rows in vars(command_line).items()
        if name.startswith("_") and isinstance(rows, tuple)
    ]
    places = {place for rows in tables for _, place, _ in rows} - WITHOUT_OPTIONS
    for place in places:
        module, _, function = place.partition(":")
        assert hasattr(getattr(import_module(f"flowmesh.cli.{module}"), function), "__wrapped__")


def test_every_exit_code_is_on_the_page() -> None:
    """Scripts depend on the numbers."""
    codes = {exit_codes.DONE, exit_codes.FAILED, exit_codes.USAGE, exit_codes.UNREACHABLE}
    assert codes == {0, 1, 2, 3}
    assert all(f"| {code} |" in PAGE for code in codes)
