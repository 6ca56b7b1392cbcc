"""Former names of options. They mean the same as the names that the help shows."""

from collections.abc import Sequence

from flowmesh.cli.commands.table import Path

FORMER: dict[Path, dict[str, str]] = {
    ("execution", "bulk", "start"): {"--newest-version": "--newest", "--preview": "--dry-run"},
}


def current_options(path: Path, arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command with the present names of its options."""
    former = FORMER.get(path, {})
    return [former.get(word, word) for word in arguments]
