"""Both wheels, installed without a checkout: what the base install can do, and the whole suite."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from flowmesh.extras import DISTRIBUTION
from flowmesh.testing.suite import Suite

# The compiled wheel takes five minutes of a processor, and gets a third of one beside other suites.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1_800)]

ROOT = Path(__file__).resolve().parents[3]
QUICKSTART = ROOT / "examples" / "quickstart"
WELCOME = str(QUICKSTART / "welcome.yaml")
SOURCES = ("gen/python", "libs", "services")
PURE, PLATFORM = "py3-none-any.whl", f"cp3{sys.version_info.minor}-*.whl"
BASE_DISTRIBUTIONS_MAX = 20
INPUT = '{"users": [{"name": "Ada", "active": true}]}'
# Of what no client needs; loading them makes every start slower.
HEAVY = ("flowmesh.engine", "flowmesh.plan", "jsonschema_rs", "re2", "aiohttp", "yaml", "rich")
RUN = """
import asyncio
from flowmesh.sdk import Client, SyncClient, Worker

async def main():
    async with Client() as client:
        async with Worker(client, {"greet": lambda input: [u["name"] for u in input["users"]]}):
            print(await client.run("welcome", %s))

asyncio.run(main())
with SyncClient() as client:
    print(client.run.__name__)
"""


class Installed:
    """An environment of its own with one of the wheels, and the versions of the lock."""

    def __init__(self, folder: Path, wheel: Path, extra: str = "") -> None:
        self.folder = folder
        subprocess.run((sys.executable, "-m", "venv", folder), check=True)
        lock = (ROOT / "requirements.lock").read_text()
        pinned = re.findall(r"^[a-z].*?(?= \\$)", lock, re.MULTILINE)
        versions = folder / "versions.txt"
        versions.write_text("\n".join(pinned))
        name = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        self.python(*install, "--constraint", str(versions), f"{name} @ {wheel.as_uri()}")

    @property
    def interpreter(self) -> str:
        return str(self.folder / "bin" / "python")

    def python(self, *words: str, code: int = 0, **variables: str) -> str:
        """What Python printed there, on both outputs; it ends with this exit code."""
        return self._ran((self.interpreter, *words), code, variables)

    def flowmesh(self, *words: str, code: int = 0, **variables: str) -> str:
        """What the command printed."""
        return self._ran((str(self.folder / "bin" / "flowmesh"), *words), code, variables)

    def _ran(self, argv: tuple[str, ...], code: int, variables: dict[str, str]) -> str:
        # Nothing of this repository is found there.
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)} | variables
        environment |= {name: v for name, v in os.environ.items() if name.startswith("PIP_")}
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, (argv, done.stdout)
        return done.stdout


@pytest.fixture(scope="module")
def wheels() -> Path:
    """What `make wheel` builds."""
    subprocess.run(("make", "wheel"), cwd=ROOT, check=True)
    return ROOT / "build" / "wheels"


@pytest.fixture(scope="module")
def base(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The base install of the wheel for every platform."""
    (wheel,) = wheels.glob(f"*{PURE}")
    return Installed(tmp_path_factory.mktemp("base"), wheel)


@pytest.fixture(scope="module")
def full(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel for this platform with the extra `dev`."""
    (wheel,) = wheels.glob(f"*{PLATFORM}")
    return Installed(tmp_path_factory.mktemp("full"), wheel, "dev")


def test_each_wheel_holds_every_file_of_the_packages(wheels: Path) -> None:
    """SQL, Lua, YAML, TOML and whatever else the code reads is in both, and no bytecode."""
    listed = subprocess.run(
        ("git", "ls-files", *SOURCES), cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = {
        name.removeprefix(f"{folder}/")
        for name in listed.stdout.splitlines()
        for folder in SOURCES
        if name.startswith(f"{folder}/flowmesh/") and (ROOT / name).exists()
    }
    assert {Path(name).suffix for name in files} >= {".py", ".sql", ".lua", ".yaml", ".toml"}
    for wheel in wheels.glob("*.whl"):
        packed = set(zipfile.ZipFile(wheel).namelist())
        assert not files - packed, wheel.name
        assert not [name for name in packed if "__pycache__" in name]


def test_the_base_install_holds_what_clients_and_workers_need(base: Installed) -> None:
    """The SDK can be imported, loads nothing that is heavy, and few packages come with it."""
    code = "import sys; from flowmesh.sdk import Worker; print(*sorted(sys.modules))"
    loaded = base.python("-c", code).split()
    assert "flowmesh.sdk.worker.worker" in loaded
    assert not [name for name in loaded if name in HEAVY]
    lines = base.python("-m", "pip", "list", "--format", "freeze").split()
    names = {line.partition("==")[0].lower() for line in lines} - {"pip", "setuptools"}
    assert len(names) <= BASE_DISTRIBUTIONS_MAX, names


@pytest.mark.parametrize(
    ("words", "command", "extra"),
    [
        (("dev",), "dev", "dev"),
        (("cluster",), "cluster", "dev"),
        (("serve", "gateway"), "serve", "server"),
        (("config",), "config", "server"),
        (("lint", "-f", WELCOME), "workflow lint", "offline"),
        (("convert", "-f", WELCOME, "--to", "graph"), "workflow convert", "offline"),
        (("graph", "-f", WELCOME), "workflow graph", "offline"),
    ],
)
def test_a_missing_extra_is_one_sentence(
    base: Installed, wheels: Path, words: tuple[str, ...], command: str, extra: str
) -> None:
    """The command prints the command that installs the extra, and nothing else."""
    (wheel,) = wheels.glob(f"*{PURE}")
    assert base.flowmesh(*words, code=1) == (
        f"flowmesh: `flowmesh {command}` needs packages that are not installed:"
        f" pip install '{wheel}[{extra}]'\n"
    )


def test_a_missing_extra_of_the_sdk_is_named(base: Installed, wheels: Path) -> None:
    """The last line of the traceback says what to install, and pip can install it."""
    (wheel,) = wheels.glob(f"*{PURE}")
    last = base.python("-c", "import flowmesh.sdk.testing", code=1).splitlines()[-1]
    command = f"pip install '{wheel}[offline]'"
    assert last.endswith(command)
    dry = ("--dry-run", "--no-deps", "--no-index", "--ignore-installed", "--quiet")
    base.python("-m", *shlex.split(command)[:2], *dry, shlex.split(command)[2])


async def test_the_installed_suite_runs_compiled(
    base: Installed, full: Installed, tmp_path: Path
) -> None:
    """`flowmesh dev` of the platform wheel serves the commands, the page, a client and a worker of
    the base install.
    """
    variables = {"FLOWMESH_CORE": "compiled", "PYTHONPATH": ""}
    suite = Suite(tmp_path / "data", environment=variables, python=full.interpreter)
    async with suite:
        page = await suite.get("/swagger")
        address = suite.grpc_address
        applied = await asyncio.to_thread(
            full.flowmesh, "apply", "-f", WELCOME, FLOWMESH_ADDRESS=address
        )
        code = RUN % INPUT.replace("true", "True")
        ran = await asyncio.to_thread(base.python, "-c", code, FLOWMESH_ADDRESS=address)
        worker = await asyncio.create_subprocess_exec(
            base.interpreter,
            str(QUICKSTART / "worker.py"),
            env=os.environ | {"FLOWMESH_ADDRESS": address},
        )
        try:
            words = ("start", "welcome", "--wait", "--input", INPUT)
            waited = await asyncio.to_thread(base.flowmesh, *words, FLOWMESH_ADDRESS=address)
        finally:
            worker.terminate()
            await worker.wait()
    assert page.status == 200
    assert "welcome" in applied
    assert "{'greetings': ['Ada']}" in ran
    assert "Hello Ada" in waited


def test_the_command_says_which_core_runs(base: Installed, full: Installed) -> None:
    """The platform wheel runs compiled unless told otherwise, and its sources once they differ."""
    assert "(core: pure Python)" in base.flowmesh("--version")
    assert "(core: compiled)" in full.flowmesh("--version")
    assert "(core: pure Python)" in full.flowmesh("--version", FLOWMESH_CORE="pure")
    (source,) = full.folder.glob("lib/*/site-packages/flowmesh/engine/decide.py")
    source.write_text(source.read_text() + "\n# changed\n")
    said = full.flowmesh("--version")
    assert "the compiled core is older than its sources and not used" in said
    assert "(core: pure Python)" in said
