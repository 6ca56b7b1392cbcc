"""The help of the command line as a whole, and of groups. That of a command is the parser's."""

from textwrap import wrap

from flowmesh.cli.commands.entries import Entry, Group, Section
from flowmesh.cli.commands.spelling import Line
from flowmesh.cli.commands.table import ROOT, SECTIONS

WIDTH = 80
EPILOGUE = """\
`flowmesh COMMAND --help` shows the options of a command, or the commands of a group.
Common commands have short forms: `flowmesh cancel` is `flowmesh execution cancel`.
Client commands accept, before or after the command: -o json|yaml|wide, --json,
--utc, --address, --namespace (-n) and --profile. FLOWMESH_ADDRESS,
FLOWMESH_NAMESPACE and FLOWMESH_PROFILE set the last three. The default address
is that of the suite running in this folder; `flowmesh config` shows it.
Exit codes: 0 done, 1 rejected or failed, 2 wrong usage, 3 no response.
"""


def page(line: Line) -> str:
    """Return the help of a group, or of the whole command line."""
    if line.entry is ROOT:
        return _page(line, SECTIONS, EPILOGUE)
    assert isinstance(line.entry, Group)
    groups = tuple(entry for entry in line.entry.entries if isinstance(entry, Group))
    commands = tuple(entry for entry in line.entry.entries if not isinstance(entry, Group))
    sections = (Section("Commands", commands), Section("Groups of commands", groups))
    epilogue = f"`{line.words} COMMAND --help` shows the options of a command.\n"
    return _page(line, sections, epilogue)


def _page(line: Line, sections: tuple[Section, ...], epilogue: str) -> str:
    assert isinstance(line.entry, Group)
    width = max(len(entry.name) for entry in line.entry.entries)
    lines = [f"Usage: {line.words} COMMAND", "", line.entry.help]
    for section in sections:
        if section.entries:
            lines += ["", section.title]
            lines += [each for entry in section.entries for each in _row(entry, width)]
    return "\n".join((*lines, "", epilogue))


def _row(entry: Entry, width: int) -> list[str]:
    text = wrap(entry.help, WIDTH - width - 4)
    return [f"  {entry.name:<{width}}  {text[0]}", *(" " * (width + 4) + more for more in text[1:])]
