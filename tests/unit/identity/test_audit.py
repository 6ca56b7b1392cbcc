"""Chains of the audit log, and the bounds of what enters them."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.access import refusals
from flowmesh.access.principal import Principal, acting_as
from flowmesh.access.refusals import Refusals
from flowmesh.audit import OutboxLoop, OutboxRow, records, records_of
from flowmesh.errors import Forbidden, Invalid
from flowmesh.identity import limits
from flowmesh.identity.auditing.appending import check_records
from flowmesh.identity.auditing.chain import BEGINNING, ChainCheck, linked, signed
from flowmesh.identity.auditing.log import check_filter
from flowmesh.identity.storage.audit import AuditEntry, AuditFilter
from flowmesh.telemetry.metrics import Metrics
from flowmesh.testing.polling import target_s

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
NOW_US = 1_000_000
ENTRIES = 5_000
TRIES = 5
CHECK_S_MAX = 1 / 300_000

Chain = list[AuditEntry]


def chain(length: int) -> Chain:
    """A chain of entries."""
    entries: Chain = []
    previous = BEGINNING
    for sequence in range(1, length + 1):
        texts = ("ada", "TenantService.UpdateProject", "co_1", f"prj_{sequence}", "ok")
        rest = ("", "d", "{}", "127.0.0.1", f"row/{sequence}")
        entry = linked(AuditEntry(sequence, NOW_US + sequence, *texts, *rest), "co_1", previous)
        previous = entry.hash
        entries.append(entry)
    return entries


def checked(entries: Chain, head: Any) -> ChainCheck:
    check = ChainCheck("co_1")
    check.add(entries)
    check.end(head, KEY)
    return check


def _changed(entries: Chain) -> Chain:
    return [*entries[:2], entries[2]._replace(actor="eve"), *entries[3:]]


def _dropped(entries: Chain) -> Chain:
    return [*entries[:3], *entries[4:]]


def _swapped(entries: Chain) -> Chain:
    second, third = entries[1:3]
    return [entries[0], third._replace(sequence=2), second._replace(sequence=3), *entries[3:]]


def _inserted(entries: Chain) -> Chain:
    made = linked(entries[4]._replace(target="prj_x", sequence=5), "co_1", entries[3].hash)
    moved = [each._replace(sequence=each.sequence + 1) for each in entries[4:]]
    return [*entries[:4], made, *moved]


def _cut(entries: Chain) -> Chain:
    return entries[:4]


def _clock_back(entries: Chain) -> Chain:
    return [*entries[:5], entries[5]._replace(at_us=NOW_US)]


@pytest.mark.feature("S1-116")
@pytest.mark.parametrize(
    ("tamper", "broken"),
    [(_changed, 3), (_dropped, 4), (_swapped, 2), (_inserted, 6), (_cut, 5), (_clock_back, 6)],
)
def test_the_first_bad_entry_is_named(tamper: Callable[[Chain], Chain], broken: int) -> None:
    """Changed, dropped, swapped, inserted, cut off, or with its clock set back."""
    entries = chain(6)
    head = signed("co_1", entries[-1], NOW_US, KEY)
    assert checked(entries, head).problem == ""
    found = checked(tamper(entries), head)
    assert (found.broken_sequence, bool(found.problem)) == (broken, True)


@pytest.mark.feature("S1-116")
def test_a_chain_made_anew_needs_the_key() -> None:
    """A whole chain with other entries has valid hashes, but no signature."""
    entries, other = chain(3), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    assert "signature" in checked(entries, signed("co_1", entries[-1], NOW_US, other)).problem
    assert "missing" in checked(entries, None).problem
    assert checked([], None).problem == ""


@pytest.mark.long
@pytest.mark.feature("S1-116")
def test_an_entry_is_checked_in_three_microseconds() -> None:
    """Its hash and its place, without the read: 300,000 entries a second."""
    entries = chain(ENTRIES)
    check = target_s(lambda: ChainCheck("co_1").add(entries), TRIES)
    assert check / ENTRIES <= CHECK_S_MAX


class _Outbox(OutboxLoop):
    async def run_once(self) -> None:
        """Do nothing."""


def test_an_outbox_is_read_after_an_audited_statement_only() -> None:
    """It rests until then, and does not run for each of many statements."""
    loop = _Outbox()
    assert loop.pause_ms() > 60 * loop.interval_ms
    assert loop.call() == ""
    assert loop.pause_ms() == loop.interval_ms


def test_filters_are_bounded() -> None:
    """A text that is longer than that of any entry is refused, and the field is named."""
    longest = "x" * limits.AUDIT_FILTER_CHARS_MAX
    check_filter(AuditFilter("", actor=longest, method=longest, target=longest))
    for field, wanted in (
        ("by_actor", AuditFilter("", actor=f"{longest}x")),
        ("method", AuditFilter("", method=f"{longest}x")),
        ("target", AuditFilter("", target=longest * 100)),
    ):
        with pytest.raises(Invalid, match=field):
            check_filter(wanted)


def test_calls_of_services_are_bounded() -> None:
    """One record more than a call may have is refused."""
    check_records(range(limits.AUDIT_RECORDS_MAX))
    with pytest.raises(Invalid, match="1,001"):
        check_records(range(limits.AUDIT_RECORDS_MAX + 1))


def test_records_are_bounded() -> None:
    """Long texts are cut, large objects are digests only, and NUL is replaced."""

    def record(target: str, after: str) -> Any:
        entry = {"at_us": 1, "actor": "a\0b", "method": "m", "target": target, "after": after}
        [found] = records_of([OutboxRow(1, "key", [entry])])
        return found

    small, large = record("t", "a"), record("t" * 600, "a" * records.DETAILS_BYTES_MAX)
    assert (small.target, small.details) == ("t", '{"after":"a","before":null}')
    assert (len(large.target), large.details) == (records.TEXT_CHARACTERS_MAX, "")
    assert len(large.after) == len(small.after) == 64
    assert small.actor == "a\ufffdb"


def test_reveals_that_wait_are_bounded() -> None:
    """A further one is not noted, so that its values stay masked; the same one counts once."""
    found = Refusals(Metrics())
    with acting_as(Principal("u_1", "user", "ann")):
        noted = [
            found.note_reveal("Some.Call", "n", str(number), str)
            for number in range(refusals.REVEALS_MAX)
        ]
        assert all(noted)
        assert found.note_reveal("Some.Call", "n", "0", str)
        assert not found.note_reveal("Some.Call", "n", "another", str)
    assert len(found.take()) == refusals.REVEALS_MAX


def test_refusals_that_wait_are_bounded() -> None:
    """Further ones are counted only; one that passes through nested calls is one."""
    noted, metrics = refusals.WAITING_MAX * 2, Metrics()
    found = Refusals(metrics)
    for _ in range(noted):
        error = Forbidden("ROLE_REQUIRED", "no")
        found.note(error, "Inner.Call")
        found.note(error, "Outer.Call")
    assert len(found.take()) == refusals.WAITING_MAX
    assert found.take() == []
    assert f'reason="ROLE_REQUIRED"}} {noted}.0' in metrics.exposition()[0].decode()
    assert "Outer.Call" not in metrics.exposition()[0].decode()
