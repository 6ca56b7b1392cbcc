"""Verdicts of compatibility against values that a validator is asked about."""

from collections import Counter
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmesh.contract.json_value import Json
from flowmesh.schemas import OTHERS, Kind, Outcome, Verdict, compatible
from tests.draws import draws
from tests.unit.schemas import generators

SETTINGS = settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)
VALUES = 25


def accepts(schema: Json) -> Any:
    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.validator_for(schema, pattern_options=options).is_valid


def anything_at(value: Json, path: tuple[str | int, ...]) -> bool:
    """Whether a value has something at a path."""
    for position, key in enumerate(path):
        if isinstance(value, dict) and key == OTHERS:
            below = path[position + 1 :]
            others = [member for name, member in value.items() if name not in generators.NAMES]
            return any(anything_at(member, below) for member in others)
        members: Json = dict(enumerate(value)) if isinstance(value, list) else value
        if not isinstance(members, dict) or key not in members:
            return False
        value = members[key]
    return True


def check(seed: int, told: Counter[Outcome]) -> None:
    random = Random(seed)
    up = generators.document(random)
    down = generators.near(random, up) if random.random() < 0.8 else generators.document(random)
    verdict = compatible(up, down)
    told[verdict.outcome] += 1
    if verdict.outcome is Outcome.UNKNOWN:
        assert verdict.findings
        return
    produces, takes = accepts(up), accepts(down)
    for _ in range(VALUES):
        source = random.choice((up, up, down))
        value = generators.fitting(random, source, source if isinstance(source, dict) else {})
        if produces(value):
            refute(verdict, value, fits=takes(value), schemas=(up, down))


def refute(verdict: Verdict, value: Json, *, fits: bool, schemas: tuple[Json, Json]) -> None:
    if verdict.outcome is Outcome.COMPATIBLE:
        assert fits, (schemas, value)
    elif fits:
        conflicts = [f for f in verdict.findings if f.conflict and f.kind is not Kind.UNLISTED]
        for finding in conflicts:
            assert not anything_at(value, finding.path), (schemas, value, finding)


@given(st.integers(0, 2**62))
@settings(SETTINGS, max_examples=draws(3_000))
def test_no_value_refutes_a_verdict(seed: int) -> None:
    """Compatible: what passes upstream passes downstream. Incompatible: never with the part."""
    check(seed, Counter())


@pytest.mark.slow
@pytest.mark.parametrize("begin", range(10))
def test_no_value_refutes_a_verdict_of_very_many(begin: int) -> None:
    """Twenty thousand pairs a time."""
    told: Counter[Outcome] = Counter()
    for seed in range(begin * 20_000, (begin + 1) * 20_000):
        check(seed, told)
    print(told)
    assert min(told.values()) > 1_000
