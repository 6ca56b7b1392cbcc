"""Bounds of dry runs."""

# Commands to the engine in one dry run, and attempts of tasks among them.
COMMANDS_MAX = 200_000
ATTEMPTS_MAX = 20_000
# How long a dry run may take on a real clock before whoever asked is told to do it himself.
SERVED_S = 10.0
# A commit happens this often: elsewhere work is going on.
YIELD_COMMANDS = 100
MOCKS_MAX = 10_000
EXAMPLE_DEPTH_MAX = 12
EXAMPLE_ITEMS_MAX = 100
