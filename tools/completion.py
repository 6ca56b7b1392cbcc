"""The signatures of all commands for the completion in a shell, read from their parsers."""

import typing
from pathlib import Path

from cyclopts.argument import Argument

from flowmesh.cli.arguments import Completed
from flowmesh.cli.command_line import parser
from flowmesh.cli.commands import table
from flowmesh.cli.commands.entries import Command
from flowmesh.cli.commands.spelling import Line
from flowmesh.cli.completion.answers import FILES
from flowmesh.cli.completion.options import FREE, Option, Signature, written


def text() -> str:
    """Return the text of `options.json`."""
    return written({path: _signature(path) for path, _ in table.commands()})


def _signature(path: table.Path) -> Signature:
    command = table.entry_at(path)
    assert isinstance(command, Command)
    arguments = [
        each
        for each in parser(Line(path, command, ()), command).assemble_argument_collection(
            parse_docstring=True
        )
        if each.show
    ]
    placed = [each for each in arguments if not each.name.startswith("-")]
    return Signature(
        tuple(
            Option(each.names, " ".join((each.parameter.help or "").split()), _source(each))
            for each in arguments
            if each.name.startswith("-")
        ),
        tuple(_source(each) for each in placed),
        is_repeated=bool(placed) and _is_list(placed[-1]),
    )


def _source(argument: Argument) -> tuple[str, ...]:
    """Return the source of an argument's value; see `Option`."""
    hint = argument.field_info.annotation
    for each in _metadata(hint):
        if isinstance(each, Completed):
            return (FILES,) if each.source == "files" else (f":{each.source}",)
    choices = argument.get_choices()
    if choices:
        return tuple(choices)
    kinds = set(_kinds(hint))
    if bool in kinds:
        return ()
    return (FILES,) if Path in kinds else FREE


def _is_list(argument: Argument) -> bool:
    return "VAR_POSITIONAL" in argument.field_info.kind.name or not _kinds(
        argument.field_info.annotation
    ).isdisjoint({list, tuple})


def _metadata(hint: object) -> list[object]:
    """Return the metadata of a type and of its parts."""
    found = list(getattr(hint, "__metadata__", ()))
    parts = typing.get_args(hint)
    return found + [each for part in parts for each in _metadata(part)]


def _kinds(hint: object) -> set[object]:
    """Return the classes in a type."""
    origin = typing.get_origin(hint)
    parts = {each for part in typing.get_args(hint) for each in _kinds(part)}
    return parts | {hint if origin is None else origin}
