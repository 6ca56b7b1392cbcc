"""The console script: the client commands, and the three that start servers.

Everything heavy is imported by the command that needs it, so that `flowmesh --help` is quick.
"""

import sys

from cyclopts import App


def main() -> None:
    """Entry point of `flowmesh`."""
    sys.exit(make_app()())


def make_app() -> App:
    """The command line with all its commands."""
    app = _client_app()
    commands = "flowmesh.suite.commands"
    app.command(f"{commands}:dev", name="dev", help="Start the whole suite on this machine.")
    app.command(f"{commands}:serve", name="serve", help="Run services against given servers.")
    app.command(
        f"{commands}:cluster",
        name="cluster",
        help="Start each core service as a process of its own, on this machine.",
    )
    return app


def _client_app() -> App:
    try:
        from flowmesh.cli import app
    except ModuleNotFoundError:
        return App(name="flowmesh", help="Durable workflow orchestration.")
    client: App = app
    return client
