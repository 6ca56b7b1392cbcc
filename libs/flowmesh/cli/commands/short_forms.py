"""Short forms of commands: `cancel` for `execution cancel`. They mean the same everywhere."""

from flowmesh.cli.commands.table import Path, commands, groups
from flowmesh.contract.nouns import plural

# The words of a group that are commands of the top level too, and differing words.
_OF_GROUPS = {
    "workflow": """
        lint diff compat changes rollback label stats bottlenecks backfill graph convert schema
        transform library generate repair
    """,
    "execution": """
        search history logs trace tree state-at compare watch-variable cancel terminate pause
        resume step retry skip complete override fail rerun replay=rerun signal signal-by-key
        hooks attributes variables bulk delete erase retention archive rebuild
        investigate
    """,
    "approval": "approvals=list approve reject approval-link=link link-keys=link-key",
    "trigger": "publish outbox",
    "queue": "bridge",
    "stream": "event-group=group projection",
    "identity": "companies=company organizations=organization logout whoami",
    "project": "files=file quota usage",
    "service": "topology",
    "dispatch": """
        workers limits breakers dead-letters discard-dead-letters=discard
        restore-dead-letters=restore stop-dispatch=stop start-dispatch=start
    """,
}
_PHRASES: dict[Path, Path] = {
    ("diagnose", "messages"): ("queue", "diagnose"),
    ("diagnose", "saga"): ("execution", "diagnose"),
    ("evidence", "export"): ("audit", "evidence"),
    ("worker", "exec"): ("agent", "exec"),
}
# Plurals without a further word; of other groups, such a plural is the list.
PLURALS: dict[str, Path] = {"queues": ("dispatch", "queues")}


def _made() -> dict[Path, Path]:
    made = dict(_PHRASES)
    for name, words in _OF_GROUPS.items():
        for word in words.split():
            short, _, full = word.partition("=")
            made[(short,)] = (name, full or short)
    # `list triggers` and `get queue NAME`, for each group that has a list or shows one.
    for path, group in groups():
        if path and group.find("list") is not None:
            made.setdefault(("list", plural(group.name)), (*path, "list"))
        if path and group.find("show") is not None:
            made.setdefault(("get", group.name), (*path, "show"))
    written = {path for path, _ in commands()}
    return {short: path for short, path in made.items() if short not in written}


SHORT_FORMS = _made()
"""The path of a command or group by its short form."""
