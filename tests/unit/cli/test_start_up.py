"""The command as a process: quick help, nothing heavy imported for it."""

import subprocess
import sys

HEAVY = ("grpc", "asyncpg", "pydantic", "opentelemetry", "yaml", "nats", "flowmesh.sdk")


def test_help_imports_nothing_heavy() -> None:
    """`flowmesh --help` needs neither gRPC nor any command's module."""
    script = (
        "import sys\n"
        "from flowmesh.cli.command_line import run\n"
        "run(['--help'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Start an execution" in done.stdout
    assert done.stderr.strip() == "[]"
