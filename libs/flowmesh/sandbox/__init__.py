"""JavaScript of users, parsed here and run only in child processes that can be killed.

Limits of a run: 5 s of CPU, 64 MiB of memory, 4 MiB of result, wall-clock time as asked for. The
code sees its variables and the language, nothing else: no files, network, timers or modules.
"""

from flowmesh.sandbox.errors import SandboxFailure
from flowmesh.sandbox.pool import Sandbox
from flowmesh.sandbox.syntax import check_syntax, expression_error

__all__ = ["Sandbox", "SandboxFailure", "check_syntax", "expression_error"]
