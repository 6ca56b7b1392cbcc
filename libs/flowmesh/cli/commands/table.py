"""All commands as one tree, in the sections of the help."""

from collections.abc import Iterator

from flowmesh.cli.commands.access import ACCESS
from flowmesh.cli.commands.applications import APPLICATIONS
from flowmesh.cli.commands.definitions import DEFINITIONS
from flowmesh.cli.commands.entries import Command, Entry, Group, Section
from flowmesh.cli.commands.executions import EXECUTIONS
from flowmesh.cli.commands.first import FIRST
from flowmesh.cli.commands.messages import MESSAGES
from flowmesh.cli.commands.suite import SUITE

Path = tuple[str, ...]

SECTIONS = (
    Section("First steps", FIRST),
    Section("Definitions", DEFINITIONS),
    Section("Executions", EXECUTIONS),
    Section("Messages", MESSAGES),
    Section("Applications", APPLICATIONS),
    Section("Access", ACCESS),
    Section("Suite", SUITE),
)
ROOT = Group(
    "flowmesh",
    "Durable workflow orchestration.",
    tuple(entry for section in SECTIONS for entry in section.entries),
)


def groups(group: Group = ROOT, path: Path = ()) -> Iterator[tuple[Path, Group]]:
    """Yield all groups with their paths, the root first."""
    yield path, group
    for entry in group.entries:
        if isinstance(entry, Group):
            yield from groups(entry, (*path, entry.name))


def commands(group: Group = ROOT) -> Iterator[tuple[Path, Command]]:
    """Yield the commands of a group and of the groups below it, with their paths."""
    for path, below in groups(group):
        for entry in below.entries:
            if isinstance(entry, Command):
                yield (*path, entry.name), entry


def entry_at(path: Path) -> Entry:
    """Return the entry of a path; raise KeyError if there is none."""
    entry: Entry = ROOT
    for name in path:
        found = entry.find(name) if isinstance(entry, Group) else None
        if found is None:
            raise KeyError(path)
        entry = found
    return entry
