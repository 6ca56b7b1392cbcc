"""The console script: the client commands, and the three that start servers.

Everything heavy is imported by the command that needs it, so that `flowmesh --help` is quick.
"""

import gc
import os
import sys

from cyclopts import App

from flowmesh.cli import app as client_app
from flowmesh.cli.command_line import SUITE
from flowmesh.rpc.environment import GRPC_ENVIRONMENT
from flowmesh.suite.allocator import give_back_large_blocks
from flowmesh.suite.lean import load_libraries

COMMANDS = (
    ("dev", "Start the whole suite on this machine."),
    ("serve", "Run services against given servers."),
    ("cluster", "Start each service as a process of its own."),
)
# Those that run services in their own process.
SERVERS = frozenset({"dev", "serve"})


def main() -> None:
    """Entry point of `flowmesh`."""
    # gRPC reads these once, when it is loaded.
    for name, value in GRPC_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if sys.argv[1:2] and sys.argv[1] in SERVERS:
        give_back_large_blocks()
        # Nothing that is loaded now ever becomes garbage; the process turns it on once it serves.
        gc.disable()
        load_libraries()
    sys.exit(make_app()())


def make_app() -> App:
    """The command line with all its commands."""
    app: App = client_app
    # Help in Markdown would load a parser and a highlighter that it does not need.
    app.help_format = "plaintext"
    for name, text in COMMANDS:
        app.command(f"flowmesh.suite.commands:{name}", name=name, help=text, group=SUITE)
    return app
