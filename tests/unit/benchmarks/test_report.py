"""The results of a run become a page for any set of systems."""

from pathlib import Path

from benchmarks.figures import Results
from benchmarks.main import SYSTEMS
from benchmarks.report import COLUMNS, write

RATE = "workflows_per_s"
HEAD = {
    "commit": "0123456789abcdef",
    "at": "2026-11-20T12:00:00Z",
    "machine": {"cores": 2, "memory_gib": 24, "python": "3.11.7"},
}


def test_every_system_has_a_column() -> None:
    """Also those that a system measures besides its own name."""
    unlisted = set(SYSTEMS) - set(COLUMNS)
    assert unlisted == {"flowmesh-scaled", "flowmesh-closed", "flowmesh-definitions"}, (
        "they measure as `flowmesh`"
    )


def test_the_page_sets_rows_beside_each_other(tmp_path: Path) -> None:
    """Medians of the rounds, the stream beside the roofline's stream and the peers' only way."""
    results = Results()
    results.yardstick += [38.0, 40.0, 39.0]
    for rate in (1_500.0, 1_700.0, 1_600.0):
        results.add("flowmesh", "W1", {RATE: rate})
    results.add("roofline", "W1", {RATE: 3_200.0})
    results.add("restate-inline-ts", "W1", {RATE: 800.0})
    results.add("flowmesh-stream", "W1s", {RATE: 3_000.0})
    results.add("roofline-stream", "W1s", {RATE: 6_000.0})
    results.add_parts("flowmesh", "W1", "cpu_s_per_1000", {"suite": 0.6, "postgres": 0.1})

    path = tmp_path / "latest.json"
    write(path, results.document(HEAD))
    lines = path.with_suffix(".md").read_text().splitlines()

    assert "Rounds: 3; the yardstick took 39 ms in them." in lines
    assert f"| W1 | {RATE} | 1,600 | 3,200 | 800 | 0.5 | 2 |" in lines
    assert f"| W1s, stream | {RATE} | 3,000 | 6,000 | 800 | 0.5 | 3.75 |" in lines
    assert "| W1, times Restate's best row | ≥ 1.5 × | 2 × | yes |" in lines
    assert "- flowmesh W1: postgres 0.10, suite 0.60" in lines
