"""The contracts generated for other languages have the public services, and no others."""

import re

import pytest

from flowmesh.errors import REASONS, TooLarge
from sdks.conformance import reasons
from tests.tidy import sources
from tools import public_services

SERVICES = {
    "gen/go/": r'ServiceName: "([\w.]+)"',
    "gen/typescript/src/": r"@generated from service ([\w.]+)",
    "gen/rust/src/": r'"/([\w.]+Service)/\w+"',
}
# The folders of SDKs and the reads of the clock of the machine; Go's `time.Now` is monotonic.
CLOCKS = re.compile(
    r"Date\.now|Instant\.now|currentTimeMillis|SystemTime::now|[^.]\btime\.time\(|datetime\.now"
)
FOLDERS = (
    "sdks/typescript/src/",
    "sdks/java/sdk/src/main/",
    "sdks/rust/src/",
    "libs/flowmesh/sdk/",
)
# Files that need the time of day: the expiry of tokens, and the deadline that a handler sees.
TIME_OF_DAY = {
    "libs/flowmesh/sdk/client/credentials.py",
    "sdks/java/sdk/src/main/java/dev/flowmesh/sdk/internal/Credential.java",
    "sdks/rust/src/core/credential.rs",
    "sdks/typescript/src/node/credentials.ts",
    "sdks/typescript/src/worker/context.ts",
}


def test_sdks_measure_time_with_monotonic_clocks() -> None:
    """A clock that is set back neither shortens nor prolongs waits, deadlines and retries."""
    found = {
        name
        for name in sources.tracked()
        if name.startswith(FOLDERS) and CLOCKS.search(sources.text(name))
    }
    assert found == TIME_OF_DAY


@pytest.mark.parametrize("folder", SERVICES)
def test_generated_contracts_have_the_public_services(folder: str) -> None:
    """The list of the gateway decides; internal services stay inside."""
    found = {
        service
        for name in sources.tracked()
        if name.startswith(folder)
        for service in re.findall(SERVICES[folder], sources.text(name))
    }
    assert found == set(public_services.names())


def test_lock_files_name_no_registry() -> None:
    """A lock file of npm has hashes, and no address of the machine that wrote it."""
    locks = [name for name in sources.tracked() if name.endswith("package-lock.json")]
    assert locks
    assert [name for name in locks if "://" in sources.text(name)] == []


def test_the_vectors_of_reasons_are_fresh() -> None:
    """Every SDK maps the reasons of the table, also the newest."""
    assert reasons.FILE.read_text() == reasons.text(), "run python -m sdks.conformance.reasons"


def test_reasons_of_too_large_values_say_so() -> None:
    """SDKs tell them from an overload, which has the same code, by this end of their names."""
    others = {
        reason.name
        for reason in REASONS.values()
        if issubclass(reason.error, TooLarge) and not reason.name.endswith("_TOO_LARGE")
    }
    assert others == set(), "name it …_TOO_LARGE"
