"""Coverage of the SDKs besides Python: the reports are read right, and a fall is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdks.conformance.languages import LANGUAGES
from tools import covered, covered_sdks
from tools.covered import Share
from tools.gates import artefacts
from tools.gates.artefacts import NotRun

GO = """\
mode: set
flowmesh.dev/sdk/client.go:1.2,3.4 5 0
flowmesh.dev/sdk/client.go:5.2,6.4 2 0
flowmesh.dev/sdk/client.go:7.2,8.4 3 1
flowmesh.dev/sdk/client.go:1.2,3.4 5 1
flowmesh.dev/sdk/client.go:5.2,6.4 2 0
flowmesh.dev/sdk/client.go:7.2,8.4 3 0
"""
JACOCO = """\
GROUP,PACKAGE,CLASS,LINE_MISSED,LINE_COVERED
sdk,dev.flowmesh.sdk,Client,3,7
sdk,dev.flowmesh.sdk,Handle,10,0
"""


def lcov(*files: tuple[str, dict[int, int]]) -> str:
    """Return a report of the runs of lines of files."""
    rows = []
    for name, lines in files:
        rows += [f"SF:{name}", *(f"DA:{line},{runs}" for line, runs in lines.items())]
    return "\n".join((*rows, "end_of_record"))


def test_a_block_of_go_counts_once() -> None:
    """Whichever package of tests reaches it."""
    assert covered_sdks.go_share(GO) == Share(lines=10, reached_lines=8)


def test_classes_of_java_are_added() -> None:
    """Also those that no test reaches."""
    assert covered_sdks.java_share(JACOCO) == Share(lines=20, reached_lines=7)


def test_only_sources_of_the_rust_sdk_count() -> None:
    """Its tests and the generated contracts are reported too."""
    crate = covered.ROOT / "sdks" / "rust"
    report = lcov(
        (f"{crate}/src/client.rs", {1: 4, 2: 0}),
        (f"{crate}/src/core/pool.rs", {2: 1}),
        (f"{crate}/tests/cells.rs", {1: 1}),
        (f"{covered.ROOT}/gen/rust/src/lib.rs", {1: 0}),
    )
    assert covered_sdks.rust_share(report) == Share(lines=3, reached_lines=2)


def test_a_module_that_no_test_loads_counts(tmp_path: Path) -> None:
    """Lines of code only, and none of the generated contracts."""
    (tmp_path / "dist/proto").mkdir(parents=True)
    (tmp_path / "dist/client.js").write_text("/** A\n * client. */\n\n// One.\na();\nb();\n")
    (tmp_path / "dist/web.js").write_text("c();\n")
    (tmp_path / "dist/proto/messages.js").write_text("d();\n")
    report = lcov(("dist/client.js", {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 0}), ("tests/a.js", {1: 1}))
    share = covered_sdks.typescript_share(report, tmp_path)
    assert share == Share(lines=3, reached_lines=1)


def test_an_sdk_below_its_floor_is_named() -> None:
    """With the share that was measured; one without a floor is a problem too."""
    found = {"go": 0.599, "java": 0.6, "rust": 0.5}
    assert list(covered_sdks.problems(found, {"go": 0.6, "java": 0.6})) == [
        "the unit tests of the SDK of go reach 59.9% of its lines, and the floor is 60%",
        "the SDK of rust has no floor in coverage.toml: write 0.48",
    ]


def test_every_sdk_has_a_floor_and_a_command() -> None:
    """Python is measured by `make coverage`."""
    others = LANGUAGES.keys() - {"python"}
    assert covered_sdks.floors().keys() == covered_sdks.SDKS.keys() == others
    assert [name for name in sorted(others) if "cover" not in LANGUAGES[name]] == []
    assert min(covered_sdks.floors().values()) > 0


@pytest.fixture
def go_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Measure the SDK of Go only, by a command that the test writes."""
    report = tmp_path / "go.out"
    monkeypatch.setattr(covered_sdks, "REPORT", tmp_path / "report.json")
    monkeypatch.setattr(covered_sdks, "SDKS", {"go": (str(report), covered_sdks.go_share)})
    return report


WRITE = f"printf %s '{GO}' > "


@pytest.mark.parametrize(
    ("command", "floor", "said", "found"),
    [
        (WRITE + "FILE", 0.8, "", {"go": 0.8}),
        (WRITE + "FILE", 0.81, "go reach 80.0% of its lines, and the floor is 81%", {"go": 0.8}),
        (WRITE + "FILE; exit 3", 0.1, "go is not measured: exit code 3", {}),
        ("echo mode: set > FILE", 0.1, "go is not measured: its report has no line", {}),
    ],
)
def test_the_command_fails_below_a_floor(
    go_alone: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    floor: float,
    said: str,
    found: dict[str, float],
) -> None:
    """And for tests that fail or leave nothing, whose SDK is then not in the report."""
    step = command.replace("FILE", str(go_alone))
    monkeypatch.setitem(LANGUAGES, "go", {"tool": "bash", "cover": step})
    monkeypatch.setattr(covered_sdks, "floors", lambda: {"go": floor})
    assert covered_sdks.main() == (1 if said else 0)
    assert said in capsys.readouterr().out
    assert json.loads(covered_sdks.REPORT.read_text()) == found


def test_the_gate_of_coverage_names_a_missing_sdk() -> None:
    """It was not run; one below its floor has failed."""
    least = {"go": 0.6, "java": 0.6}
    assert list(artefacts.sdk_problems({"go": 0.6, "java": 0.6}, least)) == []
    low: list[Any] = list(artefacts.sdk_problems({"go": 0.5}, least))
    assert low[0] == NotRun("build/coverage-sdks.json has no java")
    assert "the floor is 60%" in low[1]
    assert [type(each) for each in artefacts.sdk_problems(None, least)] == [NotRun]
