"""Exit codes of every command. Scripts rely on them: they never change."""

DONE = 0
# Refused by the suite, an invalid definition, or an execution that did not complete.
FAILED = 1
USAGE = 2
UNREACHABLE = 3
