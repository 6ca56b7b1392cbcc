"""Promela models of three protocols, checked exhaustively by SPIN.

Every interleaving of the model keeps its assertions, and without any one of its guards some
interleaving breaks one: a model that no fault can break proves nothing.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

FOLDER = Path(__file__).parent
MODELS = ("ahead", "ownership", "redelivery")
STATES_LEAST = {"ahead": 30_000, "ownership": 100_000, "redelivery": 10_000}
SECONDS = 300
GUARDS = [
    (model, guard)
    for model in MODELS
    for guard in sorted(set(re.findall(r"\bNO_[A-Z_]+", (FOLDER / f"{model}.pml").read_text())))
    if not guard.endswith("_")
]


@pytest.fixture(scope="session", autouse=True)
def spin() -> None:
    """SPIN is a package of Debian; its checkers are compiled by gcc."""
    missing = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    if missing:
        subprocess.run(["apt-get", "install", "-qy", *missing, "libc6-dev"], check=True)


def checked(model: str, folder: Path, *guards: str) -> tuple[int, int]:
    """Return the errors and the states that were visited."""

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=True
        )
        return done.stdout

    run("spin", *(f"-D{guard}" for guard in guards), "-a", str(FOLDER / f"{model}.pml"))
    run("gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c")
    printed = run("./pan", "-E", "-m200000", "-w22")
    assert "max search depth too small" not in printed
    errors = re.search(r"errors: (\d+)", printed)
    states = re.search(r"(\d+) states, stored", printed)
    assert errors is not None, printed
    assert states is not None, printed
    return int(errors[1]), int(states[1])


@pytest.mark.parametrize("model", MODELS)
def test_no_interleaving_breaks_an_assertion(model: str, tmp_path: Path) -> None:
    """The whole state space is searched."""
    errors, states = checked(model, tmp_path)
    assert errors == 0
    assert states >= STATES_LEAST[model]


@pytest.mark.parametrize(("model", "guard"), GUARDS)
def test_every_guard_is_needed(model: str, guard: str, tmp_path: Path) -> None:
    """Without it, some interleaving breaks an assertion."""
    errors, _ = checked(model, tmp_path, guard)
    assert errors == 1
