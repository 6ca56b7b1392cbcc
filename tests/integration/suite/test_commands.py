"""The commands that start servers: what is wrong is one line, and help is quick."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from flowmesh.rpc.environment import GRPC_ENVIRONMENT
from flowmesh.testing.polling import slowness

FLOWMESH = (sys.executable, "-m", "flowmesh.suite")
HELP_CPU_SECONDS_MAX = 0.4


def flowmesh(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*FLOWMESH, *words], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("serve",), "say which services to serve: identity, definition,"),
        (("serve", "worker"), "no postgres address; set FLOWMESH_POSTGRES or pass --postgres"),
        (("serve", "nothing", "--registry", "a:1"), "no service 'nothing'; there are identity,"),
        (("dev", "--grpc-port", "70000"), "grpc_port: Input should be less than or equal to 65535"),
        (("dev", "--log-level", "loud"), "log_level: Input should be 'debug', 'info',"),
    ],
)
def test_what_is_wrong_is_one_line(words: tuple[str, ...], says: str) -> None:
    """No traceback: what was wrong and what would be right."""
    given = ("--postgres", "postgresql://x", "--nats", "nats://x", "--redis", "redis://x")
    done = flowmesh(*words, *(given if "nothing" in words else ()))
    assert done.returncode == 1
    assert done.stderr.startswith(f"flowmesh: {says}"), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.long
@pytest.mark.parametrize("command", ["dev", "cluster"])
def test_settings_come_from_the_environment_too(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable sets what a flag sets, and the flag has the last word."""
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("FLOWMESH_DATA_DIR", str(file))
    monkeypatch.setenv("FLOWMESH_HTTP_PORT", "70000")
    assert "http_port" in flowmesh(command, "--grpc-port", "0").stderr
    done = flowmesh(command, "--grpc-port", "0", "--http-port", "0")
    assert done.stderr.startswith(f"flowmesh: cannot write to {file}"), done.stderr


def test_help_is_quick_and_lists_the_commands() -> None:
    """Processor time of the best of three, so that other work on the machine does not count."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = flowmesh("--help")
        spent.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    assert min(spent) < HELP_CPU_SECONDS_MAX * slowness()
    for name in ("dev", "serve", "cluster"):
        assert name in done.stdout


HIDING = "import flowmesh.suite.import_filter as f; f.hide_optional_parts()"
HIDDEN = ("aiohttp", "rich", "opentelemetry.sdk", "watchfiles")


def loaded(code: str, *names: str) -> str:
    """Runs the code in a new interpreter; which of the modules it has loaded."""
    script = f"import sys; {code}; print(*[name for name in {names} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.long
@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from flowmesh.cli.command_line import run; run(['--help'])", ("grpc", "cyclopts")),
        ("import flowmesh.sdk", ("asyncpg", "redis", "nats", "uvicorn", "structlog")),
        ("from flowmesh.runtime import Settings", ("grpc", "asyncpg", "redis", "nats", "uvicorn")),
        ("import flowmesh.suite.cluster", ("grpc", "redis", "nats", "uvicorn")),
        ("import flowmesh.gateway.main", ("jsonschema", "yaml", "flowmesh.definitions.checks")),
        (f"{HIDING}; import nats, redis.asyncio, structlog, uvicorn", HIDDEN),
        (f"{HIDING}; import flowmesh.fleet.main", ("redis", "cel", "rich", "watchfiles")),
    ],
)
def test_commands_load_only_the_modules_they_use(code: str, names: tuple[str, ...]) -> None:
    """What makes a start slow and a process large never gets in by accident."""
    assert loaded(code, *names) == ""


def test_what_a_library_was_not_shown_is_there_afterwards() -> None:
    """Only the first import goes without: HTTP and OpenTelemetry work as ever."""
    code = f"{HIDING}; import nats, redis, structlog, uvicorn; import aiohttp, rich, watchfiles"
    assert loaded(f"{code}; import opentelemetry.sdk.trace", *HIDDEN) == " ".join(HIDDEN)


def test_grpc_settings_are_set_before_grpc_loads() -> None:
    """It reads the environment only once."""
    script = (
        "import os, sys; from flowmesh.suite.main import main\n"
        "sys.argv = ['flowmesh', 'errors', 'GRAPH_CYCLE']\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    print('grpc' in sys.modules, {n: v for n, v in os.environ.items() if 'GRPC' in n})"
    )
    environment = {name: value for name, value in os.environ.items() if "GRPC" not in name}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.splitlines()[-1] == f"False {GRPC_ENVIRONMENT}"
