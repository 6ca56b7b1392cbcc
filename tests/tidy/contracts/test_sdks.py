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
    "libs/flowmesh/sdk/transport/credentials.py",
    "sdks/java/sdk/src/main/java/dev/flowmesh/sdk/internal/Credential.java",
    "sdks/rust/src/core/credential.rs",
    "sdks/typescript/src/node/credentials.ts",
    "sdks/typescript/src/worker/context.ts",
}


# What installs a package of ours by its name: npm, Cargo, Go, Maven, pip.
INSTALLS = re.compile(
    r"(?:npm (?:install|i|add)|yarn add|pnpm add) [^\n]*flowmesh"
    r"|cargo (?:add|install) [^\n]*flowmesh|^flowmesh = "
    r"|go (?:get|install) [^\n]*flowmesh\.dev|-require flowmesh\.dev"
    r"|<groupId>dev\.flowmesh|dev\.flowmesh:flowmesh-"
    r"|pip install (?:-\S+ )*'?flowmesh(?!_suite-)",
    re.MULTILINE | re.IGNORECASE,
)
PAGES_MIN = 8


def test_pages_that_install_a_package_say_that_it_is_not_published() -> None:
    """The names in public registries are not ours yet; the page shows how to use a checkout."""
    pages = [
        each
        for folder in ("docs", "sdks", "examples", "console")
        for each in (sources.ROOT / folder).rglob("*.md")
        if not {"node_modules", "decisions", "target", "build"} & set(each.parts)
    ]
    pages += [sources.ROOT / "README.md", sources.ROOT / "CHANGELOG.md"]
    found = [each for each in pages if INSTALLS.search(each.read_text())]
    assert len(found) >= PAGES_MIN
    silent = [each for each in found if "not published yet" not in each.read_text()]
    assert not silent, sources.lines(str(each.relative_to(sources.ROOT)) for each in silent)


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
