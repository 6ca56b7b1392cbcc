"""External conformance cases; collected only if their folder is configured."""

import os
from pathlib import Path

import pytest

VARIABLE = "CONFORMANCE_DATA"
collect_ignore_glob = [] if os.environ.get(VARIABLE) else ["test_*.py"]


@pytest.fixture(scope="session")
def conformance_data() -> Path:
    """Return the folder with the cases, relative to the repository."""
    folder = Path(__file__).parents[2] / os.environ[VARIABLE]
    assert folder.is_dir(), f"{VARIABLE} names {folder}, which is no folder"
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Exclude the cases from `make test`, even if the folder is configured."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the recorded `conformance` properties, one per line."""
    lines = [
        str(value)
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
        for name, value in report.user_properties
        if name == "conformance" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("conformance")
        for line in lines:
            terminalreporter.write_line(line)
