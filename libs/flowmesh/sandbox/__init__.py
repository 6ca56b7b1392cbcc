"""JavaScript, jq and JMESPath of users, run only in child processes that can be killed.

Limits of a run: 5 s of CPU, 64 MiB of memory (512 MiB for a whole process
of the other two), 4 MiB of result,
and the wall-clock time of the call. The code sees its variables and the language only: no files,
network, environment, timers or modules.
"""

from flowmesh.sandbox.errors import SandboxFailure
from flowmesh.sandbox.pool import Sandbox
from flowmesh.sandbox.process import Language
from flowmesh.sandbox.syntax import check_syntax, expression_error, jq_errors

__all__ = ["Language", "Sandbox", "SandboxFailure", "check_syntax", "expression_error", "jq_errors"]
