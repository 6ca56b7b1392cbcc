"""Suggestions for words that are no command: misspelt ones, and those of other tools."""

from difflib import get_close_matches

from flowmesh.cli.commands.entries import Group
from flowmesh.cli.commands.short_forms import SHORT_FORMS
from flowmesh.cli.commands.spelling import Line
from flowmesh.contract.nouns import plural

SHOWN_MAX = 3
# What a first word of another tool is here.
_FIRST_WORDS = {
    "start WORKFLOW, app run FILE": "run exec execute invoke submit launch",
    "list executions": "ps ls runs jobs instances",
    "get execution ID": "show describe status info view inspect",
    "apply -f FILE, app deploy FILE": "deploy create register push load put import add install",
    "cancel EXECUTION, terminate EXECUTION": "kill stop abort",
    "delete EXECUTION": "rm remove del destroy",
    "dev": "up server local standalone",
    "open": "ui console dashboard web browser",
    "watch EXECUTION": "follow tail attach monitor",
    "validate -f FILE": "check verify compile",
    "explain EXECUTION": "why debug diagnose",
    "list triggers": "schedule cron webhook webhooks schedules",
    "queue publish QUEUE JSON, publish TYPE": "send emit message messages event events",
    "template new NAME, app init TEMPLATE": "init new scaffold",
    "convert": "export",
    "identity users": "user users member members",
    "project list": "namespace namespaces tenant tenants",
    "config": "settings env",
    "stats": "metrics statistics count",
    "doctor": "health ping ready",
    "--version": "version",
}
_GUESSES = {
    word: tuple(commands.split(", "))
    for commands, words in _FIRST_WORDS.items()
    for word in words.split()
}
# Words of one meaning within a group.
_SAME = tuple(
    frozenset(words.split())
    for words in (
        "list ls all",
        "show get describe view status info",
        "delete rm remove del destroy",
        "create declare set put add new register init apply update",
        "start run fire execute trigger",
        "publish send push emit append",
        "consume receive pull read",
        "stop cancel kill terminate abort pause",
        "watch follow tail",
    )
)


def unknown(line: Line) -> str:
    """Return the message about words that name no command."""
    word = line.arguments[0] if line.arguments else ""
    if word.startswith("-"):
        return f"`{line.words}` has no option {word[:64]}"
    written = f"{line.words} {word[:64]}".rstrip()
    near = [f"`flowmesh {' '.join((*line.path, name))}`" for name in _near(line, word)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"there is no command `{written}`{hint}"


def _near(line: Line, word: str) -> list[str]:
    """Return commands that may be meant, the likeliest first."""
    short = [path[-1] for path in SHORT_FORMS if path[:-1] == line.path]
    if line.entry is None:
        return short
    if not line.path and word in _GUESSES:
        return list(_GUESSES[word])
    names = [entry.name for entry in line.entry.entries] if isinstance(line.entry, Group) else []
    same = [name for name in names for words in _SAME if name in words and word in words]
    if same:
        return same[:SHOWN_MAX]
    plurals = {plural(name): name for name in names}
    known = [*names, *short, *plurals]
    # Two letters exchanged are the likeliest mistake, which a ratio of equal letters misses.
    found = [name for name in known if sorted(name) == sorted(word)]
    found = found or get_close_matches(word[:64], known, n=SHOWN_MAX, cutoff=0.7)
    return list(dict.fromkeys(plurals.get(name, name) for name in found))
