"""Code and costly evaluations of users, run only in child processes that can be killed.

Limits of a run: 5 s of CPU (10 s for a pipeline of transforms), 64 MiB of memory for JavaScript
(512 MiB for a whole process of jq and JMESPath), 4 MiB of result, and the wall-clock time of the
call. The code sees its variables and the language only: no files, network, environment, timers or
modules. Namespaces share the processes round robin.
"""

from flowmesh.sandbox.cpu import CpuLedger
from flowmesh.sandbox.errors import SandboxFailure
from flowmesh.sandbox.pool import Sandbox
from flowmesh.sandbox.process import Language
from flowmesh.sandbox.syntax import check_syntax, expression_error, jq_errors
from flowmesh.sandbox.turns import on_behalf_of

__all__ = [
    "CpuLedger",
    "Language",
    "Sandbox",
    "SandboxFailure",
    "check_syntax",
    "expression_error",
    "jq_errors",
    "on_behalf_of",
]
