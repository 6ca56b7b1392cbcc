"""Limits of dry runs."""

# Engine commands in one dry run, and attempts of tasks.
COMMANDS_MAX = 200_000
ATTEMPTS_MAX = 20_000
# Real time after which the service ends a dry run; the command line has no such limit.
SERVED_S = 10.0
# Commands between two yields to the event loop.
YIELD_COMMANDS = 100
MOCKS_MAX = 10_000
EXAMPLE_DEPTH_MAX = 12
EXAMPLE_ITEMS_MAX = 100
