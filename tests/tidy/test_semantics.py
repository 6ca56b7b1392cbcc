"""Every rule of docs/semantics.md names a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULE = re.compile(r"^\| (?!rule)[^|-][^|]*\| (.*) \|$", re.MULTILINE)
NAMED = re.compile(r"`(\w+)::(\w+)`")


def test_every_rule_has_its_test() -> None:
    """A test that is renamed or removed takes its rule along, or says so here."""
    proofs = RULE.findall((ROOT / "docs/semantics.md").read_text())
    assert len(proofs) > 20
    for proof in proofs:
        named = NAMED.findall(proof)
        assert named, proof
        for file, test in named:
            source = (ROOT / f"tests/unit/engine/test_{file}.py").read_text()
            assert f"def {test}(" in source, proof
