"""Normalization of the words of a command line before they are parsed.

Common options before or within a command are moved behind it. Nouns can be singular or plural:
`get executions` is `get execution`, `list task` is `list tasks`.
"""

from cyclopts import App

VALUED = frozenset({"--address", "--namespace", "-n", "--profile", "--output", "-o"})
FLAGS = frozenset({"--json", "--utc"})
NOUNS = frozenset(
    {
        "approval", "breaker", "bulk", "dead-letter", "execution", "hook", "key", "label", "limit",
        "link-key", "operation", "organization", "profile", "project", "queue", "service", "task",
        "template", "trigger", "user", "variable", "workflow",
    }
)  # fmt: skip


COMPLETE = "__complete"
"""The first word of a completion request; the last word of the request is incomplete."""


def in_order(app: App, tokens: list[str]) -> list[str]:
    """Return the command, the common options found before or within it, and the rest."""
    if len(tokens) > 1 and tokens[0] == COMPLETE:
        return [COMPLETE, *in_order(app, tokens[1:-1]), tokens[-1]]
    options: list[str] = []
    path: list[str] = []
    at = 0
    while True:
        after = _skip_options(tokens, at)
        name = _command(app, tokens[after]) if after < len(tokens) else ""
        if not name:
            break
        options += tokens[at:after]
        path.append(name)
        app, at = app[name], after + 1
    return [*path, *options, *tokens[at:]] if path else tokens


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


def _command(app: App, token: str) -> str:
    """Return the app's name of the command; "" if there is none."""
    if token.startswith("-"):
        return ""
    singular = token.removesuffix("s")
    names = (token, singular, f"{singular}s") if singular in NOUNS else (token,)
    return next((name for name in names if name in app), "")
