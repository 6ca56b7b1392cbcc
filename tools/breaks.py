"""Break the product in a copy, one feature at a time, and check that the marked tests notice.

    python -m tools.breaks [NAME ...]      each break of tests/features/breaks.toml, or these
    python -m tools.breaks --unbroken NAME the same tests over an unchanged copy

A break replaces one text of one module or of one file of the chart. The package of the module is
copied to a folder of its own, which goes before the sources on the path of the tests and of the
processes that they start; a copied chart is installed instead of the chart. A broken console is
built anew, and its scenarios are run by a browser.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools import console, features

ROOT = Path(__file__).resolve().parent.parent
# `--only ID` is how the child process of a break selects its tests.
ONLY, UNBROKEN = "--only", "--unbroken"
CHART = "deploy/chart/flowmesh/"
CONSOLE = "console/"
SCENARIOS = "tests/console/test_scenarios.py"
# Rows of the large list of the console, which no break is about.
ROWS = "100"


@dataclass(frozen=True)
class Break:
    """A sentence on what no longer works, and the text of a file that makes it so."""

    feature: str
    what: str
    file: str
    old: str
    new: str

    def applied_to(self, source: str) -> str:
        """Return the source with the break. Raises ValueError unless the text is there once."""
        if source.count(self.old) != 1:
            found = source.count(self.old)
            raise SystemExit(
                f"{self.feature}: {self.file} has {found} times {self.old!r}, not once"
            )
        return source.replace(self.old, self.new)


def known() -> dict[str, Break]:
    """Return the breaks by name: a feature, or a feature and a number."""
    rows = tomllib.loads(features.BREAKS.read_text())
    return {name: Break(name.partition(" ")[0], **row) for name, row in rows.items()}


class Marked:
    """Leaves the tests of one feature in a run of pytest, the long ones last."""

    def __init__(self, feature: str) -> None:
        self._feature = feature

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        chosen = [
            each
            for each in items
            if any(self._feature in mark.args for mark in each.iter_markers("feature"))
            or self._feature in _tags(each)
        ]
        items[:] = sorted(chosen, key=lambda each: each.get_closest_marker("long") is not None)


def _tags(item: pytest.Item) -> list[str]:
    """Return the features of a scenario of the browser; of another test none."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return getattr(parameters.get("scenario"), "features", [])


def run_marked(name: str) -> int:
    """Run the tests of the feature of a break; return the exit code of pytest."""
    broken = known()[name]
    feature = broken.feature
    if broken.file.startswith(CONSOLE):
        files = [SCENARIOS]
    else:
        files = [each for each in features.marked()[feature] if each.endswith(".py")]
    return pytest.main(["-q", "-x", "-p", "no:cacheprovider", *files], [Marked(feature)])


def built(broken: Break, folder: Path, *, change: bool = True) -> None:
    """Build a copy of the console with the break in it, as a package in a folder."""
    console.install()
    copy = folder / CONSOLE
    shutil.copytree(console.SOURCE, copy, ignore=shutil.ignore_patterns("node_modules", "tests"))
    (copy / "node_modules").symlink_to(console.SOURCE / "node_modules")
    module = folder / broken.file
    text = broken.applied_to(module.read_text())
    if change:
        module.write_text(text)
    build = ("npx", "vite", "build", "--logLevel", "error")
    subprocess.run(build, cwd=copy, env=console.environment(), check=True)
    package = folder / "flowmesh" / "console"
    shutil.move(folder / "build" / "console", package)
    (package / "__init__.py").touch()


def copied(broken: Break, folder: Path, *, change: bool = True) -> None:
    """Copy the package of the module to a folder, with the break in it."""
    if broken.file.startswith(CONSOLE):
        built(broken, folder, change=change)
        return
    part, namespace, package, *_ = Path(broken.file).parts
    source = ROOT / part / namespace / package
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, folder / namespace / package, ignore=ignored)
    module = folder / Path(broken.file).relative_to(part)
    text = broken.applied_to(module.read_text())
    if change:
        module.write_text(text)


def exit_code(name: str, broken: Break, *, change: bool = True) -> int:
    """Return the exit code of pytest for the marked tests: 1 if one has failed."""
    with tempfile.TemporaryDirectory(prefix="break-") as folder:
        copied(broken, Path(folder), change=change)
        environment = {**os.environ, "PYTHONPATH": folder, "FLOWMESH_CORE": "pure"}
        if broken.file.startswith(CONSOLE):
            environment |= {"CONSOLE_GREP": f"@{broken.feature}\\b", "CONSOLE_MANY": ROWS}
        if broken.file.startswith(CHART):
            environment["KUBERNETES_CHART"] = f"{folder}/chart/flowmesh"
        done = subprocess.run(
            (sys.executable, "-m", "tools.breaks", ONLY, name),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    print("\n".join(lines), flush=True)
    return done.returncode


def main(arguments: list[str]) -> int:
    if arguments[:1] == [ONLY]:
        return run_marked(arguments[1])
    change = UNBROKEN not in arguments
    breaks = known()
    chosen = [each for each in arguments if each != UNBROKEN] or list(breaks)
    wrong = []
    for name in chosen:
        broken = breaks[name]
        print(f"{name}: {broken.what if change else 'unchanged'}", flush=True)
        code = exit_code(name, broken, change=change)
        expected = pytest.ExitCode.TESTS_FAILED if change else pytest.ExitCode.OK
        if code != expected:
            wrong.append(name)
            print(f"{name}: pytest ended with {code}, not {int(expected)}", flush=True)
    print(f"{len(chosen) - len(wrong)} of {len(chosen)} as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
