"""The choice of the core: a compiled core is used only while it is fresh."""

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


class Compiled:
    """A loader of its own in this process, with a compiled core of one module in a folder."""

    def __init__(self, folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("core_of_a_test", core.__file__)
        assert spec is not None
        assert spec.loader is not None
        made: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
        self.core = made
        self.core.FOLDER, self.core.MANIFEST = folder, folder / "manifest.json"
        self.folder = folder
        (folder / "example_of_a_core.py").write_text("WHAT = 'made'")

    def write(self, digest: str) -> None:
        manifest = {
            "digest": digest,
            "packages": ["core"],
            "modules": {"example_of_a_core": "example_of_a_core.py"},
        }
        (self.folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compiled]:
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    yield Compiled(tmp_path)
    sys.modules.pop("example_of_a_core", None)


def test_a_core_of_this_process_is_found_by_name(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chosen once; other modules come from where they came from."""
    monkeypatch.setenv("FLOWMESH_CORE", "")
    compiled.core.install()
    assert compiled.core.kind() == "pure Python"
    compiled.write(compiled.core.digest(["core"]))
    compiled.core.install()
    assert compiled.core.kind() == "pure Python"
    compiled.core.install.cache_clear()
    compiled.core.install()
    assert compiled.core.kind() == "compiled"
    assert importlib.import_module("example_of_a_core").WHAT == "made"
    assert importlib.util.find_spec("example_of_no_core") is None


@pytest.mark.parametrize(
    ("wanted", "digest", "problem", "code"),
    [
        ("", "older", "older than its sources", None),
        ("compiled", "older", "older than its sources", 1),
        ("compiled", None, "there is no compiled core", 1),
        ("complied", None, "must be pure or compiled, not 'complied'", 1),
        ("pure", "older", "", None),
    ],
)
def test_a_core_that_cannot_be_used_is_reported(
    compiled: Compiled,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wanted: str,
    digest: str | None,
    problem: str,
    code: int | None,
) -> None:
    """The process ends if it was requested."""
    monkeypatch.setenv("FLOWMESH_CORE", wanted)
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    if digest is not None:
        compiled.write(digest)
    compiled.core.install()
    said = capsys.readouterr().err
    assert problem in said
    assert bool(said) == bool(problem)
    assert ended == ([] if code is None else [code])
    assert compiled.core.kind() == "pure Python"


def test_the_digest_is_of_all_sources_of_a_package() -> None:
    """The packages of a namespace are in several folders; a missing one has no sources."""
    assert core.folder_of("core") == core.HOME
    assert core.folder_of("suite").parts[-3:] == ("services", "flowmesh", "suite")
    assert core.digest(["core"]) == core.digest(["core", "no_such_package"])
    assert core.digest(["core"]) != core.digest(["core", "extras"])
