"""What must not stand in a file of this repository."""

import re
import subprocess

from tests.tidy import sources

UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
MACHINE_PATHS = re.compile(r"""(?<![\w.:/-])/(work|root|home/\w+|Users/\w+)/""")
SKIPS = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b|unittest\.mock|MagicMock")
SLEEPS = re.compile(r"\b(asyncio|time)\.sleep\(")
BINARY = (".png", ".ico", ".woff2", ".gz", ".bin")


def _texts() -> list[str]:
    return [name for name in sources.written() if not name.endswith(BINARY)]


def _lines(names: list[str], pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name in names
        for number, line in enumerate(sources.text(name).splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_for_later() -> None:
    """No note of unfinished work: what is missing is an issue."""
    names = [name for name in _texts() if name != "tests/tidy/documents/test_words.py"]
    found = _lines(names, UNFINISHED)
    assert not found, sources.lines(found)


def test_no_path_of_one_machine() -> None:
    """Nothing names a folder of the machine it was written on."""
    names = [name for name in _texts() if not name.startswith(("requirements", "tests/tidy/"))]
    found = _lines(names, MACHINE_PATHS)
    assert not found, sources.lines(found)


def test_locks_hold_hashes_and_no_address() -> None:
    """Where packages come from is the installer's setting, not ours."""
    locks = [name for name in sources.tracked() if name.endswith(".lock")]
    locks = [name for name in locks if not name.endswith("Cargo.lock")]
    assert len(locks) >= 6
    for name in locks:
        text = sources.text(name)
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text
        pinned = [line for line in text.splitlines() if line and line[0] not in " #"]
        assert [line for line in pinned if "==" not in line] == []
        assert text.count("==") <= text.count("--hash=sha256:")


def test_locks_of_rust_hold_checksums_and_no_registry_but_the_default() -> None:
    """Cargo writes the identity of its default registry for each package; it is no mirror."""
    locks = [name for name in sources.tracked() if name.endswith("Cargo.lock")]
    assert locks
    for name in locks:
        text = sources.text(name)
        default = 'source = "registry+https://github.com/rust-lang/crates.io-index"'
        assert text.count("://") == text.count(default) == text.count("checksum = ")


def test_no_test_is_skipped_or_mocked() -> None:
    """Every test runs, on the real thing; but for those that need a server of the system."""
    names = [name for name in sources.python() if name.startswith("tests/")]
    names.remove("tests/tidy/documents/test_words.py")
    names.remove("tests/features/broker/oracle.py")
    found = _lines(names, SKIPS)
    assert not found, sources.lines(found)


def test_no_test_sleeps() -> None:
    """Tests wait on what can be observed. `sleep(0)`, which only yields, is that."""
    names = [name for name in sources.python() if name.startswith("tests/")]
    found = _lines(names, SLEEPS)
    assert [line for line in found if "sleep(0)" not in line] == []


def test_every_test_says_its_promise() -> None:
    """Each test function has a docstring."""
    silent = re.compile(r"^ *(async )?def (test_\w+)\(", re.MULTILINE)
    missing = []
    for name in sources.python():
        if not name.startswith("tests/"):
            continue
        text = sources.text(name)
        for match in silent.finditer(text):
            body = re.compile(r":\n\s+(r?\"\"\"|r?\")").search(text, match.end())
            end = text.find("\n", text.find(":\n", match.end()) + 1)
            if body is None or body.start() > end:
                missing.append(f"{name} {match.group(2)}")
    assert not missing, sources.lines(missing)


def test_scripts_can_be_run() -> None:
    """Every shell script parses."""
    scripts = [name for name in sources.written() if name.endswith(".sh") or name == ".ci/run"]
    broken = [
        name
        for name in scripts
        if subprocess.run(["bash", "-n", sources.ROOT / name], check=False).returncode
    ]
    assert not broken, sources.lines(broken)


def test_commands_count_one_thing_as_one() -> None:
    """A number before a plural is written by `nouns.counted`, or is a bound."""
    nouns = "attempts|entries|events|executions|findings|instances|messages|modules|warnings"
    counts = re.compile(rf"\{{(?!.*\bmax_)[a-z][^{{}}]*\}} (?:{nouns})\b")
    names = [name for name in sources.python() if name.startswith("libs/flowmesh/cli/")]
    found = _lines(names, counts)
    assert not found, sources.lines(found)
