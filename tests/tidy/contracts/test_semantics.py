"""Every rule of docs/semantics.md names a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
RULE = re.compile(r"^\| (?!rule)[^|-][^|]*\| (.*) \|$", re.MULTILINE)
NAMED = re.compile(r"`(\w+|[\w/]+\.py)::(\w+)`")


def test_every_rule_has_its_test() -> None:
    """A test that is renamed or removed takes its rule along, or says so here."""
    proofs = RULE.findall((ROOT / "docs/semantics.md").read_text())
    assert len(proofs) > 20
    for proof in proofs:
        named = NAMED.findall(proof)
        assert named, proof
        for file, test in named:
            path = file if file.endswith(".py") else f"unit/engine/test_{file}.py"
            source = (ROOT / "tests" / path).read_text()
            assert f"def {test}(" in source, proof
