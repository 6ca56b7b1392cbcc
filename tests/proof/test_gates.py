"""The eight gates: each passes what is right, fails what is wrong, and names what did not run."""

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.tidy import sources
from tools import covered
from tools.gates import __main__ as command
from tools.gates import artefacts, checks, proofs
from tools.gates.artefacts import LAYERS, LEAST, Layer, NotRun
from tools.mutants import __main__ as mutants

PASSED = {name: Layer(passed=least) for name, least in LEAST.items()}


def test_every_folder_of_tests_has_a_layer() -> None:
    """And no layer names a folder that is gone."""
    folders = {
        name.split("/")[1]
        for name in sources.python()
        if name.startswith("tests/") and name.count("/") > 1
    }
    assert {each for layer in LAYERS.values() for each in layer} == folders


@pytest.mark.feature("S0-109")
def test_gate_1_finds_what_a_template_left(tmp_path: Path) -> None:
    """By the name of a file, or by a line of it; this repository has none."""
    assert list(checks.template_problems(sources.ROOT, checks.tracked())) == []
    (tmp_path / "lib.rs").write_text("#[test]\nfn it_works() {}\n")
    found = list(checks.template_problems(tmp_path, ["src/Class1.cs", "UnitTest1.cs", "lib.rs"]))
    assert len(found) == 3
    assert "fn it_works()" in found[2]


@pytest.mark.feature("S0-110")
@pytest.mark.parametrize("text", ["import os\n", "x  = 1\n"])
def test_gate_2_finds_what_a_linter_finds(tmp_path: Path, text: str) -> None:
    """An unused import, or a line that is not formatted."""
    assert list(checks.lint_problems(tmp_path)) == []
    (tmp_path / "module.py").write_text(text)
    assert list(checks.lint_problems(tmp_path))


@pytest.mark.feature("S0-111")
@pytest.mark.parametrize("text", ["assert (1, 'always true')\n", "x = '\\d'\n", "def f(:\n"])
def test_gate_3_finds_warnings_of_the_compiler(tmp_path: Path, text: str) -> None:
    """A warning is an error."""
    (tmp_path / "module.py").write_text(text)
    (tmp_path / "good.py").write_text("x = 1\n")
    found = list(checks.build_problems(tmp_path, ["module.py", "good.py"]))
    assert [each.partition(":")[0] for each in found] == ["module.py"]


@pytest.mark.feature("S0-112")
def test_gate_4_finds_a_wrong_type(tmp_path: Path) -> None:
    """By the strict checker, in the folders that are given."""
    (tmp_path / "pyproject.toml").write_text("[tool.mypy]\nstrict = true\n")
    folder = tmp_path / "libs"
    folder.mkdir()
    (folder / "module.py").write_text("def f(x: int) -> int:\n    return x\n")
    assert list(checks.type_problems(tmp_path, ["libs"])) == []
    (folder / "module.py").write_text("def f(x):\n    return x\n")
    assert "no-untyped-def" in next(iter(checks.type_problems(tmp_path, ["libs"])))


def junit(folder: Path, *cases: tuple[str, str]) -> None:
    """Write a report with one test of each module, and what it has inside."""
    rows = [f'<testcase classname="{name}" name="t{n}">{inside}</testcase>'
            for n, (name, inside) in enumerate(cases)]  # fmt: skip
    text = f"<testsuites><testsuite>{''.join(rows)}</testsuite></testsuites>"
    (folder / f"{len(list(folder.iterdir()))}.xml").write_text(text)


@pytest.mark.feature("S0-105", "S0-113")
def test_gate_5_counts_the_layers(tmp_path: Path) -> None:
    """A failed, a broken and a skipped test are told by layer; a rerun counts once."""
    unit, feature = "tests.unit.engine.test_decide", "tests.features.broker.test_queues"
    junit(tmp_path, (unit, ""), (unit, "<failure/>"), (feature, "<skipped/>"), (feature, ""))
    junit(tmp_path, (unit, ""), ("tests.integration.bus.test_bus", "<error/>"))
    layers = artefacts.pyramid(tmp_path)
    assert layers == {
        "unit": Layer(passed=1, failed=1),
        "integration": Layer(failed=1),
        "end-to-end": Layer(passed=1, skipped=1),
    }


@pytest.mark.feature("S0-105", "S0-113")
@pytest.mark.parametrize(
    ("layer", "problems"),
    [
        (Layer(passed=LEAST["unit"]), []),
        (Layer(passed=LEAST["unit"], skipped=1), [NotRun("unit: 1 skipped")]),
        (Layer(passed=LEAST["unit"], failed=1), ["unit: 1 failed"]),
        (Layer(passed=3_299), ["unit: 3299 tests passed, at least 3300"]),
    ],
)
def test_gate_5_closes_for_one_test(layer: Layer, problems: list[str]) -> None:
    """One that fails, is skipped, or is missing."""
    assert list(artefacts.test_problems(PASSED | {"unit": layer}, LEAST)) == problems
    few = list(artefacts.test_problems(PASSED | {"unit": layer}, {}))
    assert few == [each for each in problems if "at least" not in str(each)]


def report(lines: int, branches: int) -> dict[str, Any]:
    """Return a report of coverage of one package with 100 lines and branches."""
    counts = {"num_statements": 100, "covered_lines": lines}
    counts |= {"num_branches": 100, "covered_branches": branches}
    return {"files": {"libs/flowmesh/engine/decide.py": {"summary": counts}}}


@pytest.mark.feature("S0-06", "S0-106", "S0-114")
@pytest.mark.parametrize(
    ("lines", "branches", "problems"),
    [
        (90, 85, []),
        (89, 85, ["all: 89.0% of the lines, at least 90%"]),
        (90, 84, ["all: 84.0% of the branches, at least 85%"]),
        (
            79,
            85,
            [
                "all: 79.0% of the lines, at least 90%",
                "libs/flowmesh/engine: 79.0% of the lines, at least 80%",
            ],
        ),
    ],
)
def test_gate_6_closes_below_the_least(lines: int, branches: int, problems: list[str]) -> None:
    """Of lines and branches of all, and of lines of each package."""
    measured = {"packages": covered.shares(report(lines, branches)), "tests": 0}
    assert list(artefacts.coverage_problems(measured, ["libs/flowmesh/engine"])) == problems


@pytest.mark.feature("S0-106", "S0-114")
def test_gate_6_closes_for_the_coverage_of_a_part() -> None:
    """Of a package beside others, of tests that failed, and of none."""
    measured = {"packages": covered.shares(report(95, 90)), "tests": 1}
    names = ["libs/flowmesh/engine/a.py", "services/flowmesh/fleet/b.py", "tools/c.py", "README.md"]
    assert list(artefacts.coverage_problems(measured, checks.packages(names))) == [
        "build/coverage.json is of tests that ended with 1, not 0",
        NotRun("build/coverage.json has no services/flowmesh/fleet: run `make coverage`"),
    ]
    assert {"libs/flowmesh/engine", "services/flowmesh/fleet"} <= checks.packages(checks.tracked())
    assert [type(each) for each in artefacts.coverage_problems(None, [])] == [NotRun]


@pytest.mark.feature("S0-106")
def test_unit_tests_reach_the_least_of_each_package() -> None:
    """A package below its share, one without a share, and a share without a package."""
    found = covered.shares(report(95, 90))
    engine = "libs/flowmesh/engine"
    assert list(covered.unit_problems(found, {engine: 0.95})) == []
    assert list(covered.unit_problems(found, {engine: 0.96, "libs/flowmesh/gone": 0.5})) == [
        f"{engine}: 95.0% of the lines, at least 96%",
        "libs/flowmesh/gone of coverage-units.toml is not measured",
    ]
    assert list(covered.unit_problems(found, {})) == [
        f"{engine} is not in coverage-units.toml: write 0.93 or less"
    ]
    least = tomllib.loads(covered.UNITS.read_text())
    assert checks.packages(checks.tracked()) == least.keys()


@pytest.mark.feature("S0-107")
def test_gate_6_closes_for_a_low_mutation_score() -> None:
    """A score that nothing has measured is not good."""
    row = {"mutants": 40, "killed": 31, "score": 0.775, "interval": [0.62, 0.88], "least": 0.8}
    drawn = {"changed": "", "scores": {"all": row}}
    found = list(artefacts.mutation_problems(drawn, []))
    assert found == ["all: 77.5% of the mutants killed, at least 80%"]
    drawn["scores"] = {"all": row | {"score": 0.8}}
    assert list(artefacts.mutation_problems(drawn, [])) == []
    assert [type(each) for each in artefacts.mutation_problems(None, [])] == [NotRun]


@pytest.mark.feature("S0-107")
def test_gate_6_closes_for_mutants_of_a_part() -> None:
    """Of some packages, or of the lines of a change, which may be none."""
    drawn: dict[str, Any] = {"changed": "main", "scores": {}}
    assert list(artefacts.mutation_problems(drawn, ["engine"])) == [
        NotRun("mutants of all lines: 0 are of those since main"),
        NotRun("build/mutants.json has no all, engine: run `make mutants`"),
    ]


@pytest.mark.feature("S0-107")
def test_gate_6_fails_for_changed_lines_only_beyond_chance() -> None:
    """Seven of ten are too few of all lines; of the few lines of a change twelve of thirty are."""
    for killed, drawn, failed in ((7, 10, []), (12, 30, ["all"])):
        outcomes = {"engine": [True] * killed + [False] * (drawn - killed)}
        assert mutants.too_low(mutants.score(outcomes), "") == ["engine", "all"]
        assert mutants.too_low(mutants.score(outcomes, "main"), "main") == failed


@pytest.mark.feature("S0-06", "S0-115")
def test_gate_7_closes_for_an_open_finding() -> None:
    """And for a scan that has examined nothing; one without its database was not run."""
    clean: dict[str, Any] = {"examined": 9, "findings": [], "unchecked": []}
    assert list(artefacts.scan_problems({"code": clean}, ("code",))) == []
    empty = {"code": clean | {"examined": 0}}
    assert list(artefacts.scan_problems(empty, ("code",))) == ["code: nothing was examined"]
    away = {"code": clean | {"examined": 0, "unchecked": ["npm: its database is away"]}}
    assert list(artefacts.scan_problems(away, ("code",))) == [
        NotRun("scan of code: npm: its database is away")
    ]
    open_one = {"code": clean | {"findings": ["a.py: S605"]}}
    assert list(artefacts.scan_problems(open_one, ("code", "secrets"))) == [
        "code: 1 open findings",
        NotRun("scan of secrets: run `make scan`"),
    ]


def measured(at: str, **systems: int) -> dict[str, Any]:
    """Return a report of benchmarks of one workload."""
    metric = {"workload": "W1", "metric": "workflows_per_s"}
    results = [{"system": name, **metric, "value": value} for name, value in systems.items()]
    return {"at": at, "commit": "0" * 40, "results": results}


SCORE = {"mutants": 400, "killed": 340, "score": 0.85, "interval": [0.81, 0.88], "least": 0.8}
WHOLE = proofs.Evidence(
    tests=PASSED,
    coverage={"packages": covered.shares(report(95, 90))},
    sdks={"go": 0.612},
    mutants={"seed": 1, "scores": {"all": SCORE}, "survivors": []},
    scans={"code": {"examined": 9, "findings": [], "accepted": [], "unchecked": ["npm: away"]}},
    benchmarks=measured("2026-11-25", flowmesh=300, roofline=400),
    benchmarks_before=measured("2026-11-20", flowmesh=260, roofline=400),
    drills={"at": "2026-11-20", "commit": "0", "failed_tests": 0, "rows": [
        {"fault": "F1", "what": "kill", "n": 9, "failures": 0}
    ]},
    review={"reviewer": "An engineer", "summary": "It is sound.", "risks": ["npm is unchecked."]},
)  # fmt: skip


@pytest.mark.feature("S0-116", "S0-121", "S0-157")
def test_a_proof_has_every_figure() -> None:
    """Counts, coverage, mutation, scans with their unchecked parts, benchmarks, drills, risks."""
    text = proofs.page("0.3.0", "abc", WHOLE)
    assert list(proofs.page_problems(text)) == []
    for each in (
        "3,300",
        "95.0%",
        "| go | 61.2% |",
        "81.0% to 88.0%",
        "Not checked: npm: away",
        "| W1 | workflows_per_s | 300 (75%) | 260 (65%) |",
        "F1",
        "- npm is",
    ):
        assert each in text


@pytest.mark.feature("S0-121")
def test_benchmarks_of_a_release_are_read_from_its_commit(tmp_path: Path) -> None:
    """None for a release that has no benchmarks, and for no release."""
    file = tmp_path / proofs.BENCHMARKS.relative_to(sources.ROOT)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(measured("2026-11-20", flowmesh=260)))
    person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for command_line in (["init"], ["add", "."], [*person, "commit", "-m", "benchmarks"]):
        subprocess.run(("git", *command_line), cwd=tmp_path, check=True, capture_output=True)
    file.unlink()
    assert proofs.benchmarks_of("HEAD", tmp_path) == measured("2026-11-20", flowmesh=260)
    assert proofs.benchmarks_of("v9", tmp_path) is None
    assert proofs.benchmarks_of("", tmp_path) is None


@pytest.mark.feature("S0-116", "S0-121")
@pytest.mark.parametrize("name", proofs.Evidence.__slots__)
def test_a_hole_is_refused(name: str) -> None:
    """Each report is needed."""
    fields = {each: getattr(WHOLE, each) for each in proofs.Evidence.__slots__}
    empty = {"unit": Layer()} if name == "tests" else None
    with pytest.raises(proofs.Hole):
        proofs.page("0.3.0", "abc", proofs.Evidence(**(fields | {name: empty})))


@pytest.mark.feature("S0-116")
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("It is sound.", "TBD", "has a hole: TBD"),
        ("| 95.0% |", "| |", "has a hole: | |"),
        ("## Drills", "## Others", "has no section Drills"),
    ],
)
def test_gate_8_closes_for_a_placeholder(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """In any proof that is kept."""
    text = proofs.page("0.3.0", "abc", WHOLE)
    (tmp_path / "0.3.0.md").write_text(text)
    assert list(proofs.release_problems("0.3.0", tmp_path)) == []
    (tmp_path / "0.3.0.md").write_text(text.replace(old, new))
    assert problem in "\n".join(proofs.release_problems("0.3.0", tmp_path))


@pytest.mark.feature("S0-116")
def test_gate_8_closes_without_a_proof(tmp_path: Path) -> None:
    """From the first version on that has one; the proofs of this repository have no hole."""
    assert list(proofs.release_problems("0.2.0", tmp_path)) == []
    assert "docs/proofs/0.3.0.md is missing" in next(proofs.release_problems("0.3.0", tmp_path))
    assert list(proofs.release_problems()) == []


@pytest.mark.feature("S0-06")
def test_a_failed_gate_fails_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its number and its problem, also beside a part that was not run."""
    gates = (("one", list[str]), ("two", lambda: [NotRun("no time"), "a hole"]))
    monkeypatch.setattr(command, "GATES", gates)
    assert command.main(["1"]) == 0
    assert command.main([]) == command.main(["--partial"]) == 1
    assert capsys.readouterr().out.endswith(
        "gate 2: two: failed\n    not run: no time\n    a hole\npassed: 1; failed: 2\n"
    )
    with pytest.raises(SystemExit, match="the gates are 1 to 2, not 3"):
        command.main(["3"])


@pytest.mark.feature("S0-06")
def test_a_gate_that_was_not_run_has_not_passed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails the command, unless a part of the gates is asked for, as in CI."""
    monkeypatch.setattr(command, "GATES", (("one", list[str]), ("two", lambda: [NotRun("why")])))
    assert command.main([]) == 1
    assert command.main(["--partial"]) == 0
    assert capsys.readouterr().out.endswith(
        "gate 2: two: not run\n    not run: why\npassed: 1; not run: 2\n"
    )


@pytest.mark.feature("S0-06", "S0-105")
def test_reports_of_an_older_commit_answer_nothing(tmp_path: Path) -> None:
    """Tests that ran before the commit are as good as none; a share leaves files out."""
    for name in artefacts.RUNS:
        (tmp_path / f"{name}.xml").write_text(
            '<testsuite><testcase classname="tests.unit.a" name="b"/></testsuite>'
        )
    assert list(artefacts.run_problems("", tmp_path)) == []
    assert artefacts.pyramid(tmp_path)["unit"].passed == 1
    assert list(artefacts.run_problems("1/3", tmp_path)) == [
        NotRun("long tests of the files outside of TESTS_SHARE=1/3")
    ]
    for file in tmp_path.iterdir():
        os.utime(file, (0, 0))
    assert artefacts.pyramid(tmp_path)["unit"].passed == 0
    assert len(list(artefacts.run_problems("", tmp_path))) == 3
    report = tmp_path / "coverage.json"
    report.write_text("{}")
    assert artefacts.read(report) == {}
    os.utime(report, (0, 0))
    assert artefacts.read(report) is None


@pytest.mark.slow  # the report reads every source
@pytest.mark.timeout(600)
def test_coverage_reaches_processes_that_a_test_starts(tmp_path: Path) -> None:
    """Lines that only a child process runs count."""
    test = tmp_path / "test_child.py"
    test.write_text(
        "import subprocess, sys\n\n\ndef test_child():\n"
        "    code = 'from flowmesh.contract.durations import *'\n"
        "    subprocess.run((sys.executable, '-c', code), check=True)\n"
    )
    package = "libs/flowmesh/contract"
    code, measured = covered.measure(["-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(test)])
    assert code == 0
    assert covered.shares(measured, [package])[package]["lines"] > 0
    assert json.loads((covered.FOLDER / "report.json").read_text()) == measured
