"""The words of a command line in the order in which they are parsed.

Common options may stand before the command; they are moved behind it. A noun may be singular or
plural: `get executions` is `get execution`, `list task` is `list tasks`.
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


def in_order(app: App, tokens: list[str]) -> list[str]:
    """The command, its common options that stood before it, and the rest."""
    options, rest = _leading_options(tokens)
    path: list[str] = []
    for token in rest:
        name = _command(app, token)
        if not name:
            break
        app = app[name]
        path.append(name)
    if not path:
        return tokens
    return [*path, *options, *rest[len(path) :]]


def _leading_options(tokens: list[str]) -> tuple[list[str], list[str]]:
    at = 0
    while at < len(tokens):
        name, equals, _ = tokens[at].partition("=")
        if name in FLAGS or (name in VALUED and equals):
            at += 1
        elif name in VALUED:
            at += 2
        else:
            break
    return tokens[:at], tokens[at:]


def _command(app: App, token: str) -> str:
    """The name under which the app has the command; empty where it has none."""
    if token.startswith("-"):
        return ""
    singular = token.removesuffix("s")
    names = (token, singular, f"{singular}s") if singular in NOUNS else (token,)
    return next((name for name in names if name in app), "")
