"""The package of each language installs in an empty folder, and runs the example of its README."""

import sys
from functools import cache
from pathlib import Path

import pytest

from flowmesh.testing.cluster import Cluster
from sdks.conformance.languages import ROOT
from sdks.conformance.readmes import blocks, save_program, script_of
from sdks.conformance.test_examples import printed
from tools.release import builders, manifest

pytestmark = pytest.mark.slow
PACKAGES = ROOT / "build/packages"
TIMEOUT_S = 900


@cache
def packages(language: str) -> list[Path]:
    """Build the packages of a language once."""
    return builders.build(language, PACKAGES / language)


def caches(folder: Path) -> dict[str, str]:
    """Return the environment that keeps packages of this version out of the caches of the user.

    What others publish comes from the cache of Go that is there, or from its proxy.
    """
    modules = builders.run("go", "env", "GOMODCACHE", "GOPROXY").split()
    return {
        "GOMODCACHE": str(folder / "modules"),
        "GOFLAGS": "-modcacherw",
        "GOPROXY": f"file://{modules[0]}/cache/download,{modules[1]}",
    }


@pytest.mark.timeout(TIMEOUT_S)
async def test_readme(readme_language: str, cluster: Cluster, tmp_path: Path) -> None:
    """Its commands run as written, and print what it shows."""
    packages(readme_language)
    found = blocks(readme_language)
    folder = tmp_path / "hello"
    save_program(readme_language, folder)
    script, expected = script_of(found["console"])
    own = {
        "FLOWMESH": str(ROOT),
        "CARGO_TARGET_DIR": str(ROOT / "build/sdks/readme"),
        "MAVEN_OPTS": f"-Dmaven.repo.local={tmp_path / 'repository'}",
    }
    if readme_language == "go":
        own |= caches(tmp_path)
    output = await printed(script, cluster, cwd=folder, within_s=TIMEOUT_S, **own)
    # Maven resets the colors of a terminal.
    assert output.splitlines()[-1].removeprefix("\x1b[0m") == expected


@pytest.mark.timeout(TIMEOUT_S)
async def test_wheel(cluster: Cluster, tmp_path: Path) -> None:
    """The wheel runs the example of the quick start in an environment of its own."""
    (wheel,) = packages("python")
    quick_start = ROOT / "examples/quickstart/checkout.py"
    script = f"""
        {sys.executable} -m venv own
        own/bin/python -m pip install --quiet --disable-pip-version-check {wheel}
        own/bin/python {quick_start}
    """
    output = await printed(script, cluster, cwd=tmp_path, within_s=TIMEOUT_S, PYTHONPATH="")
    assert "kg on their way" in output


def test_every_package_has_the_version_of_the_suite() -> None:
    """The files that state a version agree with pyproject.toml."""
    assert list(manifest.version_problems(ROOT)) == []
