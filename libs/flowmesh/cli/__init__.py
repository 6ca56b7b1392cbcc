"""The command line of clients: everything but `dev`, `serve` and `cluster`, which the suite adds.

Exit codes: 0 done; 1 refused, invalid, or an execution that did not complete; 2 wrong usage;
3 nothing answers at the address. With `--json` standard output holds JSON and nothing else.
"""

from flowmesh.cli.command_line import app

__all__ = ["app"]
