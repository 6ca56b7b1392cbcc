"""The client commands of the command line; the suite adds `dev`, `serve` and `cluster`.

Exit codes: 0 done; 1 rejected, invalid, or an execution that did not complete; 2 wrong usage;
3 no response from the address. With `--json` standard output contains only JSON.
"""

from flowmesh.cli.command_line import app

__all__ = ["app"]
