"""The options and arguments of all commands, as stored in `options.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowmesh.cli.commands import table

FILE = Path(__file__).with_name("options.json")
FREE: tuple[str, ...] = ("",)
"""The source of a value that nothing completes."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its names, its help, and the source of its value."""

    names: tuple[str, ...]
    help: str
    source: tuple[str, ...]
    """The choices; a suggestion as `:name`; none for a flag."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The options of a command, and the sources of its positional arguments."""

    options: tuple[Option, ...]
    arguments: tuple[tuple[str, ...], ...]
    is_repeated: bool
    """True if the last argument takes all further words."""


def signature(path: table.Path) -> Signature:
    """Return the stored signature of a command."""
    stored = json.loads(FILE.read_text())
    command = stored["commands"].get(" ".join(path))
    if command is None:
        return Signature((), (), is_repeated=False)
    options, arguments, is_repeated = command
    named = [stored["options"][index] for index in options]
    return Signature(
        tuple(Option(tuple(names), text, tuple(source)) for names, text, source in named),
        tuple(tuple(source) for source in arguments),
        bool(is_repeated),
    )


def written(signatures: Mapping[table.Path, Signature]) -> str:
    """Return the text of the file; equal options of several commands are stored once."""
    options: dict[Option, int] = {}
    commands = {
        " ".join(path): (
            [options.setdefault(option, len(options)) for option in each.options],
            each.arguments,
            int(each.is_repeated),
        )
        for path, each in signatures.items()
    }
    lines = [json.dumps((each.names, each.help, each.source)) for each in options]
    rows = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in commands.items()]
    joined, listed = ",\n".join(lines), ",\n".join(rows)
    return f'{{"options": [\n{joined}\n],\n"commands": {{\n{listed}\n}}}}\n'
