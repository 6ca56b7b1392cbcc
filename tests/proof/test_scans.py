"""The scans: each finds what is planted, and accepts nothing without a reason and an end date."""

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from tools.scans import (
    code,
    languages,
    licences,
    materials,
    packages,
    rules,
    secrets,
    vulnerabilities,
)
from tools.scans.findings import (
    ACCEPTED_DAYS_MAX,
    Accepted,
    Finding,
    Result,
    read_accepted,
    settle,
)
from tools.scans.packages import Package
from tools.scans.vulnerabilities import Auditor

TODAY = date(2026, 11, 29)
TABLE = {"permitted": {"MIT": "", "Apache-2.0": ""}, "cargo": {"good": "MIT OR GPL-3.0-only"}}


@pytest.mark.feature("S0-115")
def test_the_quick_scans_find_nothing(tmp_path: Path) -> None:
    """Licences and code of this commit: every finding is accepted with a reason."""
    found, table = packages.everything(), licences.read_table()
    accepted, today = read_accepted(), date.today()
    for result in (
        licences.scan(found, table),
        code.scan(),
        rules.scan(),
        materials.scan(found, table, tmp_path / "bill.json"),
    ):
        assert result.examined > 1_000
        assert settle(result, accepted, today).findings == []


def test_every_kind_of_lock_is_read() -> None:
    """The three locks of Python, npm, Go, Cargo and Maven."""
    found = packages.everything()
    assert {each.kind for each in found} == {"pypi", "npm", "golang", "cargo", "maven"}
    locks = {each.lock for each in found}
    assert {f"requirements{part}.lock" for part in ("", "-test", "-dev")} <= locks
    names = {each.key for each in found}
    assert {"pypi:grpcio", "golang:google.golang.org/grpc", "cargo:tonic"} <= names


@pytest.mark.feature("S0-115")
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('key = "AKIA' + 'QYLPMN5HHHFPZAM2"\n', "AWS Access Key"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----\nabc\n", "Private Key"),
        ('url = "postgresql://app:c0rrecth0rse' + '@db/app"\n', "Basic Auth Credentials"),
    ],
)
def test_a_planted_secret_is_found(tmp_path: Path, text: str, kind: str) -> None:
    """The finding tells its file and kind, and not the secret."""
    (tmp_path / "settings.py").write_text(text)
    found = secrets.scan(tmp_path, ["settings.py"]).findings
    assert [(each.place, each.problem.rpartition(" ")[0]) for each in found] == [
        ("settings.py", kind)
    ]
    assert text.strip().rpartition("= ")[2] not in str(found)


@pytest.mark.feature("S0-115")
@pytest.mark.parametrize(
    ("package", "problem"),
    [
        (Package("npm", "bad", "1", "lock", "GPL-3.0-only"), "is under GPL-3.0-only"),
        (Package("npm", "odd", "1", "lock", "Nonsense"), "has no licence"),
        (Package("cargo", "unknown", "1", "Cargo.lock"), "has no licence"),
        (Package("cargo", "good", "1", "Cargo.lock"), ""),
        (Package("npm", "both", "1", "lock", "MIT AND GPL-3.0-only"), "is under MIT AND"),
        (Package("npm", "either", "1", "lock", "(MIT OR GPL-3.0-only)"), ""),
    ],
)
def test_a_licence_that_is_not_permitted_is_found(package: Package, problem: str) -> None:
    """One alternative with permitted licences only is enough."""
    found = licences.scan([package], TABLE).findings
    assert [each.place for each in found] == ([package.key] if problem else [])
    assert all(each.problem.startswith(problem) for each in found)


@pytest.mark.feature("S0-115")
def test_dangerous_code_is_found(tmp_path: Path) -> None:
    """A call of a shell is told with its rule."""
    folder = tmp_path / "libs"
    folder.mkdir()
    (folder / "run.py").write_text("import os\n\ndef run(name):\n    os.system('rm ' + name)\n")
    found = code.scan(tmp_path, ("libs",)).findings
    assert [(each.place, each.problem[:4]) for each in found] == [("libs/run.py", "S605")]


@pytest.mark.feature("S0-115")
@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("await asyncio.create_subprocess_shell(name)", "shell"),
        ("eval(name)", "code from text"),
        ("pickle.loads(name)", "objects from bytes"),
        ("yaml.load(name)", "objects from bytes"),
        ("yaml.load(name, yaml.CSafeLoader)", ""),
        ("await pool.fetch(f'select {name}')", "built SQL"),
        ("await pool.fetch('select ' + name)", "built SQL"),
        ("await pool.fetch('select %s' % name)", "built SQL"),
        ("await pool.fetch('select $1', name)", ""),
        ("jwt.decode(name, key)", "token not verified"),
        ("jwt.decode(name, key, algorithms=['EdDSA'])", ""),
        ("context.verify_mode = ssl.CERT_NONE", "certificate not verified"),
        ("return given.secret == secret", "secrets compared by =="),
        ("return hmac.compare_digest(given.secret, secret)", ""),
    ],
)
def test_our_rules_find_what_is_planted(line: str, rule: str) -> None:
    """The finding names the rule and the function."""
    found = list(rules.problems(f"async def read(name, key):\n    {line}\n"))
    assert found == ([f"{rule} in read"] if rule else [])


SCANNER = "import json; print(json.dumps({report!r}))"


@pytest.mark.feature("S0-115")
def test_findings_of_other_languages_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports of gosec and eslint by file and rule; without one, its part is not checked."""
    file = tmp_path / "sdk" / "client.go"
    go = {"Issues": [{"file": str(file), "rule_id": "G402", "details": "TLS"}]}
    messages = [{"ruleId": "security/detect-eval-with-expression"}, {"ruleId": languages.NOISE[0]}]
    web = [{"filePath": str(tmp_path / "web" / "page.ts"), "messages": messages}]
    for name, report in (("GOSEC", go), ("ESLINT", web)):
        program = tmp_path / name
        program.write_text(f"#!{sys.executable}\n{SCANNER.format(report=report)}\n")
        program.chmod(0o755)
        monkeypatch.setattr(languages, name, program)
    for folder in ("sdk", "web"):
        (tmp_path / folder).mkdir()
    found = languages.scan(tmp_path, ("sdk",), ("web",))
    assert [str(each) for each in found.findings] == [
        "sdk/client.go: G402 TLS",
        "web/page.ts: security/detect-eval-with-expression",
    ]
    monkeypatch.setattr(languages, "GOSEC", tmp_path / "away")
    assert languages.scan(tmp_path, ("sdk",), ("web",)).unchecked == ["gosec: not installed"]


def auditor(report: object) -> Auditor:
    """Return an auditor that prints a report."""
    command = (sys.executable, "-c", f"print({json.dumps(json.dumps(report))})")
    return Auditor(command, ".", vulnerabilities.AUDITORS[0].read)


@pytest.mark.feature("S0-115")
def test_a_vulnerability_is_found(tmp_path: Path) -> None:
    """An auditor that is away or has no database is named: it proves nothing."""
    bad = {"dependencies": [{"name": "old", "vulns": [{"id": "CVE-2026-1"}]}]}
    away = Auditor(("no-such-auditor",), ".", vulnerabilities.AUDITORS[0].read)
    result = vulnerabilities.scan((auditor(bad), auditor({"error": "offline"}), away), tmp_path)
    assert result.findings == [Finding("vulnerabilities", "pypi:old", "CVE-2026-1")]
    assert result.examined == 1
    assert [each.partition(": ")[2] for each in result.unchecked] == [
        "its database cannot be reached",
        "not installed",
    ]


def test_a_package_without_a_version_is_found(tmp_path: Path) -> None:
    """The bill names every package with its licence and is valid CycloneDX."""
    good = Package("cargo", "good", "1.0", "Cargo.lock")
    result = materials.scan([good, Package("npm", "odd", "", "lock")], TABLE, tmp_path / "bill")
    assert [each.place for each in result.findings] == ["npm:odd"]
    bill = json.loads((tmp_path / "bill").read_text())
    assert bill["components"][0]["purl"] == "pkg:cargo/good@1.0"
    assert bill["components"][0]["licenses"] == [{"expression": "MIT OR GPL-3.0-only"}]


@pytest.mark.parametrize(
    ("accepted", "days", "problems"),
    [
        ("a.py: S605", 30, []),
        ("b.py: S605", 30, ["a.py: S605", "b.py: S605: is accepted, and not found"]),
        ("a.py: S605", -1, ["a.py: S605: was accepted until 2026-11-28"]),
        ("a.py: S605", ACCEPTED_DAYS_MAX + 1, ["a.py: S605: accepted for too long: 2028-01-04"]),
    ],
)
def test_an_accepted_finding_ends(accepted: str, days: int, problems: list[str]) -> None:
    """It covers its own place, until its date, and only what is there."""
    row = Accepted("code", (accepted,), "a reason", TODAY + timedelta(days=days))
    settled = settle(Result("code", 1, [Finding("code", "a.py", "S605")]), [row], TODAY)
    assert [str(each) for each in settled.findings] == problems


def test_an_accepted_finding_has_a_reason(tmp_path: Path) -> None:
    """The entry is told by its first finding."""
    table = tmp_path / "accepted.toml"
    row = 'scan = "code"\nfindings = ["a.py: S605"]\nreason = " "\nuntil = 2027-01-01\n'
    table.write_text(f"[[accepted]]\n{row}")
    with pytest.raises(SystemExit, match=r"a\.py: S605 needs a reason"):
        read_accepted([table])


def test_an_unknown_scan_is_refused() -> None:
    """The error names the scans that there are."""
    done = subprocess.run(
        (sys.executable, "-m", "tools.scans", "nothing"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no scan nothing; there are secrets, licences" in done.stderr
