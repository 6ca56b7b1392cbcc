"""The command line: finds the command of the words, and calls it.

The parser and the module of a command are imported for that command alone; version, help of
groups, completion and usage errors need neither.
"""

import re
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes
from flowmesh.cli.commands import group_help, guesses, spelling
from flowmesh.cli.commands.entries import Command
from flowmesh.cli.commands.spelling import Line
from flowmesh.cli.option_names import current_options

if TYPE_CHECKING:
    from cyclopts import App

COMPLETE = "__complete"
"""The first word of a completion request; the last word of the request is incomplete."""
VERSION = frozenset({"--version", "-V"})

# The expected form of an invalid value, in place of the name of its Python type.
_KINDS = {
    "datetime.": "a time such as 2026-01-31T12:00:00Z.",
    "float.": "a number such as 1.5.",
    "int.": "a whole number.",
    "bool.": "true or false.",
}
_TYPE = re.compile(rf"(?<=\" into )({'|'.join(map(re.escape, _KINDS))})$")


def run(words: str | Sequence[str] | None = None) -> int:
    """Run the command of the words, by default those of this process; return the exit code."""
    given = sys.argv[1:] if words is None else words
    tokens = shlex.split(given) if isinstance(given, str) else list(given)
    if tokens[:1] == [COMPLETE]:
        from flowmesh.cli.completion.answers import answer

        return answer(tokens[1:])
    return run_line(spelling.read(tokens))


def run_line(line: Line) -> int:
    """Run the command of a line, or print the help of its group; return the exit code."""
    if isinstance(line.entry, Command):
        return _call(line, line.entry)
    if not line.path and not VERSION.isdisjoint(line.arguments[:1]):
        return _written(_version())
    if line.entry is not None and line.wants_help:
        return _written(group_help.page(line))
    return _usage(guesses.unknown(line), line)


def parser(line: Line, command: Command) -> "App":
    """Return the parser of a command, with its function."""
    from cyclopts import App, Parameter

    from flowmesh.cli.help_format import Columns

    module, _, name = command.import_path.partition(":")
    made = App(
        name=line.words,
        version_flags=(),  # `--version` selects the version of a definition
        # Help in Markdown would load a parser and a highlighter without need.
        help_format="plaintext",
        help_formatter=Columns(),
        default_parameter=Parameter(negative="", show_default=_shown_default),
        result_action="return_int_as_exit_code_else_zero",
    )
    made["--help"].show = False
    made.default(getattr(import_module(module), name))
    return made


def _shown_default(value: Any) -> str | None:
    """Return a default that tells something; the help of the others says what they mean."""
    return None if value in (None, "", False, 0, "null") else str(value)


def _call(line: Line, command: Command) -> int:
    from cyclopts import CycloptsError

    app = parser(line, command)
    arguments = current_options(line.path, line.arguments)
    try:
        code: int = app(arguments, exit_on_error=False, print_error=False)
        return code
    except CycloptsError as error:
        text = _TYPE.sub(lambda found: _KINDS[found[0]], " ".join(str(error).split()))
        return _usage(text, line)


def _usage(text: str, line: Line) -> int:
    from flowmesh.cli import output

    output.problem(f"flowmesh: {text} (see `{line.words} --help`)")
    return exit_codes.USAGE


def _written(text: str) -> int:
    from flowmesh.cli import output

    output.block(text.rstrip("\n"))
    return exit_codes.DONE


def _version() -> str:
    """Return the version and the execution core in use, pure Python or compiled."""
    from importlib.metadata import PackageNotFoundError, version

    from flowmesh import core

    try:
        found = version("flowmesh")
    except PackageNotFoundError:
        from flowmesh.telemetry import VERSION as found  # no package is installed
    core.install()
    return f"{found} (core: {core.kind()})"
