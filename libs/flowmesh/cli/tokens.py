"""The words of a command line in the order in which they are parsed.

Common options may stand before or within a command; they are moved behind it. A noun may be
singular or plural: `get executions` is `get execution`, `list task` is `list tasks`.
"""

from cyclopts import App

VALUED = frozenset({"--address", "--namespace", "-n", "--profile", "--output", "-o"})
FLAGS = frozenset({"--json", "--utc"})
NOUNS = frozenset(
    {
        "approval", "breaker", "bulk", "dead-letter", "execution", "hook", "label", "limit",
        "link-key", "operation", "profile", "queue", "service", "task", "template", "trigger",
        "user", "variable", "workflow",
    }
)  # fmt: skip


COMPLETE = "__complete"
"""Before the words that a shell completes, of which the last one is not finished."""


def in_order(app: App, tokens: list[str]) -> list[str]:
    """The command, its common options that stood before or within it, and the rest."""
    if len(tokens) > 1 and tokens[0] == COMPLETE:
        return [COMPLETE, *in_order(app, tokens[1:-1]), tokens[-1]]
    options: list[str] = []
    path: list[str] = []
    at = 0
    while True:
        behind = _behind_options(tokens, at)
        name = _command(app, tokens[behind]) if behind < len(tokens) else ""
        if not name:
            break
        options += tokens[at:behind]
        path.append(name)
        app, at = app[name], behind + 1
    return [*path, *options, *tokens[at:]] if path else tokens


def _behind_options(tokens: list[str], at: int) -> int:
    """The place of the first token that is neither a common option nor the value of one."""
    while at < len(tokens):
        name, equals, _ = tokens[at].partition("=")
        if name in FLAGS or (name in VALUED and equals):
            at += 1
        elif name in VALUED:
            at += 2
        else:
            break
    return min(at, len(tokens))


def _command(app: App, token: str) -> str:
    """The name under which the app has the command; empty where it has none."""
    if token.startswith("-"):
        return ""
    singular = token.removesuffix("s")
    names = (token, singular, f"{singular}s") if singular in NOUNS else (token,)
    return next((name for name in names if name in app), "")
