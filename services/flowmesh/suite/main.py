"""The console script `flowmesh`.

Each command imports what it needs, so that help and completion are quick and client commands run
on the base install.
"""

import gc
import os
import sys

from flowmesh.cli.command_line import COMPLETE, run, run_line
from flowmesh.cli.commands import spelling
from flowmesh.cli.commands.entries import Command

# Commands that run services in their own process.
SERVERS = frozenset({"dev", "serve"})
# The extras of these commands; for others, the one that contains the missing module.
EXTRAS = {"dev": "dev", "cluster": "dev", "serve": "server"}


def main() -> None:
    """Run `flowmesh`."""
    if sys.argv[1:2] == [COMPLETE]:
        sys.exit(run())
    line = spelling.read(sys.argv[1:])
    sys.exit(_run_command(line) if isinstance(line.entry, Command) else run_line(line))


def _run_command(line: spelling.Line) -> int | str:
    from flowmesh import core
    from flowmesh.extras import ExtraMissing, needed_by
    from flowmesh.rpc.environment import GRPC_ENVIRONMENT

    core.install()
    # gRPC reads these once, when it is loaded.
    for name, value in GRPC_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    name = " ".join(line.path)
    try:
        with needed_by(f"`flowmesh {name}`", EXTRAS.get(name, "")):
            if name in SERVERS:
                _prepare_server()
            return run_line(line)
    except ExtraMissing as error:
        return f"flowmesh: {error}"


def _prepare_server() -> None:
    from flowmesh.suite.allocator import return_large_blocks
    from flowmesh.suite.import_filter import hide_optional_parts

    return_large_blocks()
    # No object that is loaded now becomes garbage; collection is enabled when the process serves.
    gc.disable()
    hide_optional_parts()
