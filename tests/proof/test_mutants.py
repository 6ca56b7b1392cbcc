"""Mutants: drawn by a seed, run against the tests of their line, and scored."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.breaks import ROOT
from tools.mutants import __main__ as mutants
from tools.mutants import console, drawing
from tools.mutants.drawing import PACKAGES, Mutant, draw, mutants_of

LONG = "pytestmark = pytest.mark.long"


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("test_*.py"))


def test_every_package_has_sources_and_tests() -> None:
    """A folder that was moved has no mutants, and tests that are all long kill none."""
    for name, (source, tests) in PACKAGES.items():
        assert (ROOT / source).is_dir()
        assert [each for each in tests if not (ROOT / each).exists()] == []
        files = [path for each in tests for path in _files(ROOT / each)]
        assert not all(LONG in path.read_text() for path in files), f"{name} has long tests only"


@pytest.mark.feature("S0-107")
def test_a_seed_draws_the_same_mutants() -> None:
    """Each changes one line of one file."""
    drawn = draw(["routing", "access"], 6, 1, "")
    assert [each.package for each in drawn] == ["routing"] * 3 + ["access"] * 3
    assert draw(["routing", "access"], 6, 1, "") == drawn
    assert draw(["routing", "access"], 6, 2, "") != drawn
    for each in drawn:
        assert each.source() != (ROOT / each.file).read_text()
        assert "  ->  " in each.shown()


def test_only_changed_lines_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that differ from a commit."""
    some = next(mutants_of("routing"))
    monkeypatch.setattr(drawing, "changed_lines", lambda _: {some.file: {some.line}})
    drawn = draw(["routing", "access"], 100, 1, "main")
    assert {(each.file, each.line) for each in drawn} == {(some.file, some.line)}


def test_a_package_without_more_leaves_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of a change may be of one package, and all mutants are drawn from it."""
    lines = {each.file: {each.line} for each in mutants_of("routing")}
    monkeypatch.setattr(drawing, "changed_lines", lambda _: lines)
    drawn = draw(["access", "routing"], 4, 1, "main")
    assert [each.package for each in drawn] == ["routing"] * 4


def test_lines_of_a_change_are_read_from_git() -> None:
    """A line that is added has its number of today."""
    found = drawing.changed_lines("HEAD")
    assert all(isinstance(line, int) for lines in found.values() for line in lines)


def test_a_mutant_that_is_listed_is_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its file and its change."""
    some = draw(["routing"], 1, 1, "")[0]
    table = tmp_path / "mutants.toml"
    change = some.shown().replace("\\", "\\\\").replace('"', '\\"')
    table.write_text(
        f'[[equivalent]]\nfile = "{some.file}"\nchange = "{change}"\nreason = "same"\n'
    )
    monkeypatch.setattr(drawing, "EQUIVALENT", table)
    assert some not in draw(["routing"], 5, 1, "")


def test_slots_are_not_drawn() -> None:
    """No test sees whether a class has them; what else its line says is drawn."""
    lines = [each.shown() for each in draw(["routing"], 1_000, 1, "") if "slots" in each.shown()]
    assert lines
    assert not [each for each in lines if "slots=False" in each]


def test_only_what_compiles_is_drawn() -> None:
    """Otherwise each test that loads the module would kill it."""
    product = "core/ReplaceBinaryOperator_Mul_FloorDiv"
    every = [each for each in mutants_of("routing") if each.operator == product]
    assert [each for each in every if not each.compiles()]
    drawn = draw(["routing"], 1_000, 1, "")
    assert all(each.compiles() for each in drawn if each.operator == product)


@pytest.mark.feature("S0-107")
@pytest.mark.parametrize(("tests", "dies"), [("topics", True), ("nothing", False)])
def test_a_mutant_dies_by_a_test_that_notices(tmp_path: Path, tests: str, dies: bool) -> None:
    """A test that asserts nothing of the line lets it live."""
    file = "libs/flowmesh/contract/durations.py"
    source = (ROOT / file).read_text()
    line = next(n for n, text in enumerate(source.splitlines(), 1) if re.search(r"\d", text))
    mutant = Mutant("contract", file, line, "core/NumberReplacer", 0)
    test = tmp_path / "test_them.py"
    noticed = f"assert flowmesh.contract.durations.__file__.startswith({str(ROOT)!r})"
    body = noticed if dies else "pass"
    test.write_text(f"import flowmesh.contract.durations\n\n\ndef test_{tests}():\n    {body}\n")
    assert mutants.killed(mutant, [str(test)]) is dies


def test_a_test_that_fails_without_a_mutant_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name; a line that runs while modules load has all other tests."""
    source = "libs/flowmesh/contract"
    test = tmp_path / "test_it.py"
    test.write_text(
        "from flowmesh.contract.durations import duration_ms\n\n\n"
        "def test_right():\n    assert duration_ms('1s')\n\n\n"
        "def test_wrong():\n    assert not duration_ms('1s')\n"
    )
    data = str(tmp_path / "data")
    program = (
        "from tools.mutants import __main__ as mutants\n"
        f"mutants.PACKAGES['it'] = ({source!r}, ({str(test)!r},))\n"
        f"assert mutants.record('it', {data!r}) == 1"
    )
    subprocess.run((sys.executable, "-c", program), cwd=ROOT, check=True, capture_output=True)
    reached = mutants.recorded(data)
    assert "fails without a mutant" in capsys.readouterr().out
    file = f"{source}/durations.py"
    lines = reached[str(ROOT / file)]
    body = next(line for line, tests in lines.items() if any(tests))
    loaded = next(line for line, tests in lines.items() if tests == [""])
    for line in (body, loaded):
        mutant = Mutant("it", file, line, "core/AddNot", 0)
        names = [each.rpartition("::")[2] for each in mutants.tests_of(mutant, reached)]
        assert names == ["test_right"]


def test_a_mutant_that_no_test_reaches_counts_in_a_whole_draw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of changed lines it is listed only: longer tests may reach it."""
    drawn = draw(["routing"], 1, 1, "")
    monkeypatch.setattr(mutants, "reaching", lambda _: {})
    for reached_only, counted in ((True, {}), (False, {"routing": [False]})):
        outcomes, survivors = mutants.run(drawn, 1, reached_only=reached_only)
        assert outcomes == counted
        assert "(no test reaches the line)" in survivors[0]


@pytest.mark.feature("S0-06", "S0-107")
def test_the_score_has_an_interval() -> None:
    """Wilson's, by package and of all."""
    scores = mutants.score({"engine": [True] * 36 + [False] * 4, "routing": []})
    assert scores.keys() == {"engine", "all"}
    assert scores["engine"] == {
        "mutants": 40,
        "killed": 36,
        "score": 0.9,
        "interval": [0.769, 0.96],
        "least": 0.75,
    }
    assert mutants.interval(0, 0) == [0.0, 1.0]


def test_lines_of_the_console_are_drawn_by_a_seed() -> None:
    """Lines with code of its logic, without views and tests."""
    drawn = console.drawn_lines(40, 1)
    assert drawn == console.drawn_lines(40, 1) != console.drawn_lines(40, 2)
    assert sum(map(len, drawn.values())) == 40
    assert {name.rsplit("/", 1)[0] for name in drawn} <= set(console.FOLDERS)
    assert not [name for name in drawn if ".test." in name]


def test_mutants_of_the_console_are_judged_by_the_report_of_stryker() -> None:
    """A change that no test reaches has survived; one that cannot run is no mutant."""
    place = {"start": {"line": 2}}
    states = ("Killed", "Timeout", "Survived", "NoCoverage", "RuntimeError", "Ignored")
    rows = [{"status": each, "location": place, "replacement": "b"} for each in states]
    report = {"files": {"src/model/filter.ts": {"source": "x\n  a\n", "mutants": rows}}}
    outcomes, survivors = console.judged(report)
    assert outcomes == {"src/model": [True, True, False, False]}
    assert survivors == [
        "console/src/model/filter.ts:2: a  ->  b",
        "console/src/model/filter.ts:2: a  ->  b (no test reaches the line)",
    ]
