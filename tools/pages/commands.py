"""Write docs/commands.md from the table of commands and their short forms."""

from flowmesh.cli.commands import table
from flowmesh.cli.commands.entries import Group
from flowmesh.cli.commands.short_forms import SHORT_FORMS
from tools.pages import markdown


def page() -> str:
    lines = markdown.title("Commands", source="`flowmesh.cli.commands`")
    lines += [
        "The top level of `flowmesh` has the daily commands, and groups of all others.",
        "Many commands have a short form: `flowmesh cancel` is `flowmesh execution cancel`;",
        "both are supported. Nouns can be singular or plural.",
        "`flowmesh list` takes the plural of every group that has a list, as in",
        "`flowmesh list triggers`; the plural alone is the list too: `flowmesh triggers`.",
        "[The command line](cli.md) explains arguments, addresses and output.",
        "",
    ]
    for section in table.SECTIONS:
        lines += [f"## {section.title}", ""]
        group = Group("", "", section.entries)
        rows = [
            (f"`{' '.join(path)}`", entry.help, _short(path))
            for path, entry in table.commands(group)
        ]
        lines += markdown.table(("command", "effect", "short form"), rows)
    return markdown.join(lines)


def _short(path: table.Path) -> str:
    """Return the short forms of a command, without those of `list` and `get`."""
    found = [short for short, full in SHORT_FORMS.items() if full == path]
    for depth in range(1, len(path)):
        above = [short for short, full in SHORT_FORMS.items() if full == path[:depth]]
        found += [(*short, *path[depth:]) for short in above]
    shown = [" ".join(short) for short in found if short[0] not in ("list", "get")]
    return ", ".join(markdown.code(each) for each in shown)
