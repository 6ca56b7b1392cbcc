"""The parts of the table of commands: a command, a group of commands, and a section of the help."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, its function as `module:function`, and its line of help."""

    name: str
    place: str
    help: str

    @property
    def import_path(self) -> str:
        """The function's path; modules of this package are written without its name."""
        return self.place if self.place.startswith("flowmesh.") else f"flowmesh.cli.{self.place}"


@dataclass(frozen=True, slots=True)
class Group:
    """A word that other commands follow."""

    name: str
    help: str
    entries: "tuple[Entry, ...]"

    def find(self, name: str) -> "Entry | None":
        """Return the entry with this name."""
        return next((each for each in self.entries if each.name == name), None)


Entry = Command | Group


@dataclass(frozen=True, slots=True)
class Section:
    """Entries under one title of the help."""

    title: str
    entries: tuple[Entry, ...]
