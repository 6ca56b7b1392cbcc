"""The Makefile is the one entrance, and says what it offers."""

import re

from tests.conftest import LONGEST
from tests.tidy import sources

PROMISED = {
    *("help", "setup", "demo", "dev", "cluster", "test", "test-all", "check", "gen", "verify"),
    *("bench", "features", "docs", "clean"),
}


def test_every_promised_target_is_there() -> None:
    """`make help` lists each of them with a line of its own."""
    targets = re.findall(r"^([a-z-]+):.*## \S", sources.text("Makefile"), re.MULTILINE)
    assert set(targets) >= PROMISED


def test_targets_are_no_files() -> None:
    """A file that happens to have a target's name does not stop the target."""
    text = sources.text("Makefile").replace("\\\n", " ")
    targets = set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert targets == set(phony.group(1).split())


def test_ci_runs_what_people_run() -> None:
    """The CI machine has no checks of its own."""
    commands = re.findall(r"^make (\S+)", sources.text(".ci/run"), re.MULTILINE)
    in_turn = ["coverage-units", "test-sdks", "mutants", "test-kubernetes"]
    assert commands == ["check", "test", "test-long", *in_turn, "scan", "gates"]


def test_the_demo_and_the_tests_wait_for_no_tool_of_developers() -> None:
    """The demo installs the first lock, the tests the second; what checks installs the third."""
    text = sources.text("Makefile").replace("$(RUNS)", ".venv/.linked")
    text = text.replace("$(TESTS)", ".venv/.tests").replace("$(TOOLS)", ".venv/.tools")
    rules = dict(re.findall(r"^([a-z-]+): (.*?) ## ", text, re.MULTILINE))
    stages = {name: set(re.findall(r"\.venv/\.\w+", rules[name])) for name in rules}
    assert stages["demo"] == stages["dev"] == stages["cluster"] == {".venv/.linked"}
    assert stages["test"] == stages["faults"] == {".venv/.tests"}
    assert stages["check"] == stages["gen"] == stages["compile"] == {".venv/.tools"}
    assert stages["setup"] == {".venv/.tests", ".venv/.tools"}


def test_the_longest_files_are_there() -> None:
    """A file that was moved no longer begins first."""
    assert [name for name in LONGEST if name not in sources.python()] == []
