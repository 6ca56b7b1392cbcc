"""Exit codes of all commands. They never change because scripts depend on them."""

DONE = 0
# Rejected by the suite, an invalid definition, or an execution that did not complete.
FAILED = 1
USAGE = 2
UNREACHABLE = 3
