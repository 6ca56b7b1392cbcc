"""The page of the command line, the table of commands and the functions agree."""

from importlib import import_module
from pathlib import Path

import pytest

from flowmesh.cli import exit_codes
from flowmesh.cli.commands import table

# Commands without common options, which cannot fail.
WITHOUT_OPTIONS = {"flowmesh.cli.definitions.checking:schema"}
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text()


@pytest.mark.parametrize(
    "place", sorted({each.import_path for _, each in table.commands()} - WITHOUT_OPTIONS)
)
def test_all_commands_report_their_failures(place: str) -> None:
    """The decorator `command` turns failures into one line and an exit code."""
    module, _, function = place.partition(":")
    found = getattr(import_module(module), function)
    assert hasattr(found, "__wrapped__") or module.startswith("flowmesh.suite.")


def test_every_exit_code_is_on_the_page() -> None:
    """Scripts depend on the numbers."""
    codes = {exit_codes.DONE, exit_codes.FAILED, exit_codes.USAGE, exit_codes.UNREACHABLE}
    assert codes == {0, 1, 2, 3}
    assert all(f"| {code} |" in PAGE for code in codes)
