"""Changes as records of the audit log."""

import hashlib
from collections.abc import Iterable

import orjson

from flowmesh.api.identity.v1.audit_service_pb2 import AuditRecord
from flowmesh.audit.outbox import OutboxRow
from flowmesh.contract.json_value import Json

# Larger objects are represented by their digests only.
DETAILS_BYTES_MAX = 4_096
TEXT_CHARACTERS_MAX = 512


def records_of(rows: Iterable[OutboxRow]) -> list[AuditRecord]:
    return [
        _record(entry, f"{row.key}/{number}")
        for row in rows
        for number, entry in enumerate(row.entries)
    ]


def _record(entry: dict[str, Json], source: str) -> AuditRecord:
    before, after = entry.get("before"), entry.get("after")
    details = _canonical({"before": before, "after": after})
    return AuditRecord(
        source=entry.get("source") or source,
        at_us=entry["at_us"],
        actor=_text(entry["actor"]),
        method=_text(entry["method"]),
        namespace=_text(entry.get("namespace")),
        company_id=_text(entry.get("company")),
        target=_text(entry["target"]),
        outcome="ok",
        before=_digest(before),
        after=_digest(after),
        details=details.decode() if len(details) <= DETAILS_BYTES_MAX else "",
        address=_text(entry.get("address")),
    )


def _digest(value: Json) -> str:
    return "" if value is None else hashlib.sha256(_canonical(value)).hexdigest()


def _canonical(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _text(value: Json) -> str:
    """Return a text that a database stores: without NUL, and of bounded length."""
    return str(value or "").replace("\0", "\ufffd")[:TEXT_CHARACTERS_MAX]
