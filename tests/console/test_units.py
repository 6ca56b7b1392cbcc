"""The unit tests of the console: filter grammar, history, layout, live feed, colours, imports."""

import json
import subprocess
from pathlib import Path

import pytest

from tools import console

pytestmark = pytest.mark.long
UNITS_MIN = 15


@pytest.mark.feature("S1-138")
def test_the_unit_tests_pass(tmp_path: Path) -> None:
    """All of them, in vitest; the report lists each."""
    console.install()
    report = tmp_path / "report.json"
    command = ("npx", "vitest", "run", "--reporter=json", f"--outputFile={report}")
    subprocess.run(
        command, cwd=console.SOURCE, env=console.environment(), check=False, capture_output=True
    )
    result = json.loads(report.read_text())
    failed = [
        test["fullName"]
        for file in result["testResults"]
        for test in file["assertionResults"]
        if test["status"] != "passed"
    ]
    assert failed == []
    assert result["numPassedTests"] >= UNITS_MIN
