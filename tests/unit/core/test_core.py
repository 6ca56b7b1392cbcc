"""The choice of the core: a compiled core is used only while it is fresh."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowmesh import core

START = (
    "from flowmesh import core; core.install(); import example; print(core.kind(), example.WHAT)"
)


class Checkout:
    """A folder like this repository, or where a wheel is installed, with one module and what was
    made of it.
    """

    def __init__(self, folder: Path, libs: str = "libs") -> None:
        self.folder, self.libs = folder, folder / libs
        (self.libs / "flowmesh").mkdir(parents=True)
        shutil.copytree(Path(core.__file__).parent, self.libs / "flowmesh" / "core")
        self.write(f"{libs}/example.py", "WHAT = 'source'")
        self.write(f"{libs}/flowmesh/engine/apply.py", "")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def compile(self, where: str = "build/compiled") -> None:
        """As `make compile` does, except that the result is Python too."""
        code = "from flowmesh import core; print(core.digest(['engine']))"
        manifest = {
            "digest": self.python(code).stdout.strip(),
            "packages": ["engine"],
            "modules": {"example": "example.py"},
        }
        self.write(f"{where}/example.py", "WHAT = 'made'")
        self.write(f"{where}/manifest.json", json.dumps(manifest))

    def start(self, wanted: str = "") -> tuple[int, str, str]:
        """Return the exit code, the core that ran, and the output on stderr."""
        done = self.python(START, FLOWMESH_CORE=wanted)
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def python(self, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Without this repository: only what is in the folder is found."""
        environment = os.environ | {"PYTHONPATH": str(self.libs)} | variables
        return subprocess.run(
            (sys.executable, "-S", "-B", "-c", code),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_without_a_compiled_core_the_sources_run(checkout: Checkout) -> None:
    """Without a message, unless the compiled core was requested: then the start fails."""
    assert checkout.start() == (0, "pure Python source", "")
    code, ran, said = checkout.start("compiled")
    assert (code, ran) == (1, "")
    assert "make compile" in said


def test_a_fresh_compiled_core_runs(checkout: Checkout) -> None:
    """Unless the sources are asked for."""
    checkout.compile()
    assert checkout.start() == (0, "compiled made", "")
    assert checkout.start("compiled") == (0, "compiled made", "")
    assert checkout.start("pure") == (0, "pure Python source", "")


def test_a_stale_compiled_core_is_left_out(checkout: Checkout) -> None:
    """One line says so and how to mend it; who insists on it gets nothing older."""
    checkout.compile()
    checkout.write("libs/flowmesh/engine/other.py", "")
    code, ran, said = checkout.start()
    assert (code, ran) == (0, "pure Python source")
    assert "older than its sources" in said
    assert said.count("\n") == 0
    assert checkout.start("compiled") == (1, "", said)


def test_another_word_is_refused(checkout: Checkout) -> None:
    """A misspelled wish is not taken for none."""
    code, ran, said = checkout.start("complied")
    assert (code, ran) == (1, "")
    assert "FLOWMESH_CORE must be pure or compiled" in said


def test_an_installed_compiled_core_runs(tmp_path: Path) -> None:
    """A platform wheel has it beside its loader, and says what mends it when it is stale."""
    installed = Checkout(tmp_path, "site-packages")
    installed.compile("site-packages/flowmesh/core/compiled")
    assert installed.start() == (0, "compiled made", "")
    assert installed.start("pure") == (0, "pure Python source", "")
    installed.write("site-packages/flowmesh/engine/other.py", "")
    code, ran, said = installed.start()
    assert (code, ran) == (0, "pure Python source")
    assert "install the wheel for this platform" in said
