"""The console script: the client commands, and the three that start servers.

Each command imports what it needs, so that `flowmesh --help` is quick and client commands run on
the base install.
"""

import gc
import os
import sys
from typing import Any

from cyclopts import App

from flowmesh import core
from flowmesh.cli import app as client_app
from flowmesh.cli.command_line import SUITE
from flowmesh.extras import ExtraMissing, needed_by
from flowmesh.rpc.environment import GRPC_ENVIRONMENT
from flowmesh.suite.allocator import return_large_blocks
from flowmesh.suite.lean import load_libraries

COMMANDS = (
    ("dev", "Start the whole suite on this machine."),
    ("serve", "Run services against given servers."),
    ("cluster", "Start each service as a process of its own."),
)
# Commands that run services in their own process.
SERVERS = frozenset({"dev", "serve"})
# The extras of these commands; for others, the one that contains the missing module.
EXTRAS = {"dev": "dev", "cluster": "dev", "serve": "server"}


def main() -> None:
    """Run `flowmesh`."""
    core.install()
    # gRPC reads these once, when it is loaded.
    for name, value in GRPC_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    command = sys.argv[1] if sys.argv[1:] else ""
    try:
        with needed_by(f"`flowmesh {command}`", EXTRAS.get(command, "")):
            sys.exit(_run(command))
    except ExtraMissing as error:
        sys.exit(f"flowmesh: {error}")


def _run(command: str) -> Any:
    if command in SERVERS:
        return_large_blocks()
        # No object that is loaded now becomes garbage; collection is enabled when the process
        # serves.
        gc.disable()
        load_libraries()
    return make_app()()


def make_app() -> App:
    """Return the command line with all its commands."""
    app: App = client_app
    # Help in Markdown would load a parser and a highlighter without need.
    app.help_format = "plaintext"
    for name, text in COMMANDS:
        app.command(f"flowmesh.suite.commands:{name}", name=name, help=text, group=SUITE)
    return app
