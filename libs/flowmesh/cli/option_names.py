"""Former names of options. They mean the same as the names that the help shows."""

from collections.abc import Sequence

from flowmesh.cli.commands.table import Path

_TIMES = {"--after": "--since", "--before": "--until"}
FORMER: dict[Path, dict[str, str]] = {
    ("approval", "approve"): {"--comment": "--reason"},
    ("approval", "reject"): {"--comment": "--reason"},
    ("execution", "archive", "list"): _TIMES,
    ("execution", "bulk", "start"): {"--newest-version": "--newest", "--preview": "--dry-run"},
    ("execution", "list"): _TIMES,
    ("execution", "rerun"): {"--plan": "--dry-run"},
    ("execution", "show"): _TIMES,
    ("queue", "consume"): {"--count": "--limit"},
    ("service", "watch"): {"--count": "--limit"},
    ("stream", "read"): {"--count": "--limit"},
}


def current_options(path: Path, arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command with the present names of its options."""
    former = FORMER.get(path, {})
    words = (word.partition("=") for word in arguments)
    return [f"{former.get(name, name)}{equals}{value}" for name, equals, value in words]
