"""The answer to a completion request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowmesh.cli import exit_codes, output
from flowmesh.cli.commands import spelling
from flowmesh.cli.commands.entries import Command, Group
from flowmesh.cli.commands.short_forms import SHORT_FORMS
from flowmesh.cli.completion import paths
from flowmesh.cli.completion.options import FREE, Option, signature
from flowmesh.cli.completion.requests import Request, Suggestions

FILES = ":files"
"""A line that asks the shell for its own completion of files."""
_PROFILE = Option(("--profile",), "Profile to use; FLOWMESH_PROFILE.", (":profiles",))
_COMMON = (
    *(Option((name,), "", ()) for name in ("--json", "--utc", "--help")),
    *(Option((name,), "", FREE) for name in ("--address", "--namespace", "-n")),
    Option(("--output", "-o"), "Format of standard output.", ("table", "wide", "json", "yaml")),
    _PROFILE,
)


def answer(words: Sequence[str]) -> int:
    """Write a line for each completion of the last word; return the exit code."""
    *before, incomplete = _joined(words) or [""]
    line = spelling.read(before)
    if isinstance(line.entry, Command):
        lines = _of_command(line, incomplete)
    else:
        lines = _of_group(line, incomplete)
    if lines:
        output.block("\n".join(lines))
    return exit_codes.DONE


def _joined(words: Sequence[str]) -> list[str]:
    """Return the words, with options that a shell splits at `=` as two of them."""
    joined: list[str] = []
    for index, word in enumerate(words):
        if word == "=" and joined and joined[-1].startswith("--"):
            if index == len(words) - 1:
                joined.append("")
        else:
            joined.append(word)
    return joined


def _of_group(line: spelling.Line, incomplete: str) -> list[str]:
    before = _before(line.arguments, {name: each for each in _COMMON for name in each.names})
    if before.pending is not None:
        return _values(before.pending.source, before.request(incomplete))
    if incomplete.startswith("-"):
        return _options(_COMMON, incomplete)
    if before.arguments:
        return []
    entries = line.entry.entries if isinstance(line.entry, Group) else ()
    found = [(entry.name, entry.help) for entry in entries]
    lines = _lines(found, incomplete)
    if lines:
        return lines
    short = [(path[-1], "") for path in SHORT_FORMS if path[:-1] == line.path]
    return _lines(short, incomplete)


def _of_command(line: spelling.Line, incomplete: str) -> list[str]:
    command = signature(line.path)
    by_name = {name: option for option in (*command.options, _PROFILE) for name in option.names}
    before = _before(line.arguments, by_name)
    name, equals, value = incomplete.partition("=")
    if equals and name in by_name:
        found = _values(by_name[name].source, before.request(value))
        return [each if each == FILES else f"{name}={each}" for each in found]
    if before.pending is not None:
        return _values(before.pending.source, before.request(incomplete))
    if incomplete.startswith("-"):
        return _options(command.options, incomplete)
    at = len(before.arguments)
    if command.is_repeated:
        at = min(at, len(command.arguments) - 1)
    source = command.arguments[at] if at < len(command.arguments) else FREE
    return _values(source, before.request(incomplete))


@dataclass(frozen=True, slots=True)
class _Before:
    """The words before the incomplete one."""

    arguments: tuple[str, ...]
    options: Mapping[str, str]
    pending: Option | None
    """The option whose value is the incomplete word."""

    def request(self, incomplete: str) -> Request:
        return Request(incomplete, self.arguments, self.options)


def _before(words: Sequence[str], by_name: Mapping[str, Option]) -> _Before:
    arguments: list[str] = []
    options: dict[str, str] = {}
    pending: Option | None = None
    for word in words:
        name, equals, value = word.partition("=")
        if pending is not None:
            options[pending.names[0]] = word
            pending = None
        elif name in by_name and by_name[name].source:
            if equals:
                options[by_name[name].names[0]] = value
            else:
                pending = by_name[name]
        elif not word.startswith("-"):
            arguments.append(word)
    return _Before(tuple(arguments), options, pending)


def _options(options: Sequence[Option], incomplete: str) -> list[str]:
    return _lines([(each.names[0], each.help) for each in options], incomplete)


def _values(source: tuple[str, ...], request: Request) -> list[str]:
    if source == (FILES,):
        return [FILES]
    if source[:1] and source[0].startswith(":"):
        return _lines(_suggestions(source[0][1:], request), request.incomplete)
    return _lines([(each, "") for each in source if each], request.incomplete)


def _suggestions(name: str, request: Request) -> Suggestions:
    if name == "values":
        return paths.values(request)
    from flowmesh.cli.completion import suggestions

    found: Suggestions = getattr(suggestions, name)(request)
    return found


def _lines(found: Suggestions, incomplete: str) -> list[str]:
    """Return a line for each value that begins with the word: the value, a tab, its description."""
    flat = str.maketrans("\t\r\n", "   ")
    return [
        f"{value.translate(flat)}\t{text.translate(flat)}"
        for value, text in found
        if value.startswith(incomplete)
    ]
