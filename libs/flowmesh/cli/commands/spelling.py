"""The command that the words of a command line name, and the words in the order of the parser.

Common options before or within a command are moved behind it. Nouns can be singular or plural:
`get executions` is `get execution`, `list task` is `list tasks`; `executions` alone is the list.
"""

from dataclasses import dataclass

from flowmesh.cli.commands.entries import Entry, Group
from flowmesh.cli.commands.short_forms import PLURALS, SHORT_FORMS
from flowmesh.cli.commands.table import ROOT, Path, entry_at
from flowmesh.contract.nouns import plural

VALUED = frozenset({"--address", "--namespace", "-n", "--profile", "--output", "-o"})
FLAGS = frozenset({"--json", "--utc"})
HELP = frozenset({"--help", "-h"})
_BEGINNINGS = {path[:-1] for path in SHORT_FORMS if len(path) > 1}


@dataclass(frozen=True, slots=True)
class Line:
    """The words of a command line."""

    path: Path
    """Words of the command; the first words of an incomplete short form as they were written."""

    entry: Entry | None
    """The command or group; None for the first words of a short form."""

    arguments: tuple[str, ...]
    """The remaining words, after the common options that stood before them."""

    @property
    def words(self) -> str:
        """The command as it is written: `flowmesh execution cancel`."""
        return " ".join(("flowmesh", *self.path))

    @property
    def wants_help(self) -> bool:
        """True if the help is asked for; a group without a command prints it too."""
        return not self.arguments or not HELP.isdisjoint(self.arguments[:1])


def read(tokens: list[str]) -> Line:
    """Return the command of these words with its arguments."""
    if tokens[:1] == ["help"]:
        tokens = [*tokens[1:], "--help"]
    options: list[str] = []
    at = Line((), ROOT, ())
    start = 0
    several = ""
    while (after := _skip_options(tokens, start)) < len(tokens):
        word = tokens[after]
        found = step(at, word)
        if found is None:
            break
        several = word if found.entry is not None and found.path[-1] != word else ""
        options += tokens[start:after]
        at, start = found, after + 1
    rest = tokens[start:]
    ends = _skip_options(rest, 0) == len(rest)
    if several and ends:
        at = _listed(at, several)
    elif at.entry is None and ends and (noun := (plural(at.path[-1]),)) in SHORT_FORMS:
        at = Line(SHORT_FORMS[noun], entry_at(SHORT_FORMS[noun]), ())  # `worker` is `workers`
    return Line(at.path, at.entry, (*options, *rest))


def step(at: Line, word: str) -> Line | None:
    """Return the entry that the next word names; None if there is none."""
    if word.startswith("-"):
        return None
    for name in _numbers(word):
        path = (*at.path, name)
        if path in SHORT_FORMS:
            return Line(SHORT_FORMS[path], entry_at(SHORT_FORMS[path]), ())
        found = at.entry.find(name) if isinstance(at.entry, Group) else None
        if found is not None:
            return Line(path, found, ())
        if path in _BEGINNINGS:
            return Line(path, None, ())
    return None


def _listed(at: Line, word: str) -> Line:
    """Return the list of a group whose plural stands alone."""
    path = PLURALS.get(word, (*at.path, "list"))
    is_listed = isinstance(at.entry, Group) and (word in PLURALS or at.entry.find("list"))
    return Line(path, entry_at(path), ()) if is_listed else at


def _numbers(word: str) -> tuple[str, ...]:
    singular = f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")
    return (word, singular, plural(singular))


def _skip_options(tokens: list[str], at: int) -> int:
    """Return the index of the first token that is neither a common option nor its value."""
    while at < len(tokens):
        name, equals, _ = tokens[at].partition("=")
        if name in FLAGS or (name in VALUED and equals):
            at += 1
        elif name in VALUED:
            at += 2
        else:
            break
    return min(at, len(tokens))
