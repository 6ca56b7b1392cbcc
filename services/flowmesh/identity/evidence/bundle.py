"""The files of an export of evidence."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from flowmesh.api.execution.v1.retention_service_pb2 import GetRetentionRequest
from flowmesh.api.execution.v1.search_service_pb2 import CountExecutionsRequest
from flowmesh.contract.json_value import Json
from flowmesh.identity.auditing.log import AuditLog
from flowmesh.identity.evidence.controls import controls
from flowmesh.identity.evidence.materials import bill_of_materials, versions
from flowmesh.identity.evidence.review import access_review
from flowmesh.identity.limits import DRILL_REPORT_BYTES_MAX
from flowmesh.identity.storage.audit import AuditEntry, AuditHead
from flowmesh.identity.storage.evidence import EvidenceStore
from flowmesh.runtime import Clock
from flowmesh.views import instant

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.retention_service_pb2_grpc import RetentionServiceAsyncStub
    from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceAsyncStub

ENDED = "ended != null"
MANIFEST = "manifest.json"
AUDIT = "audit.jsonl"


class Evidence:
    """Collects the evidence of a company; of the installation for an empty one."""

    def __init__(
        self,
        *,
        log: AuditLog,
        store: EvidenceStore,
        retention: "RetentionServiceAsyncStub",
        searches: "SearchServiceAsyncStub",
        drill_report: str,
        clock: Clock,
    ) -> None:
        self._log, self._store = log, store
        self._retention, self._searches = retention, searches
        self._drill_report = drill_report
        self._clock = clock

    async def export(self, company: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield parts of files by name, and in the end the manifest with their digests."""
        digests: dict[str, hashlib._Hash] = {}
        async for name, content in self._files(company):
            digests.setdefault(name, hashlib.sha256()).update(content)
            yield name, content
        manifest: dict[str, Json] = {
            "company": company,
            "exportedAt": instant(self._clock.now_us()),
            "files": {name: each.hexdigest() for name, each in digests.items()},
        }
        yield MANIFEST, _json(manifest)

    async def _files(self, company: str) -> AsyncIterator[tuple[str, bytes]]:
        async for name, content in self._audit(company):
            yield name, content
        yield "controls.json", _json({"controls": controls()})
        now_us = self._clock.now_us()
        users, keys = await self._store.users(company), await self._store.keys(company)
        yield "access-review.json", _json(access_review(users, keys, now_us))
        yield "retention.json", _json({"projects": await self._retentions(company, now_us)})
        yield "versions.json", _json(await asyncio.to_thread(versions))
        yield "sbom.cdx.json", (await asyncio.to_thread(bill_of_materials)).encode()
        yield "backup-drill.json", await asyncio.to_thread(_drill, self._drill_report)

    async def _audit(self, company: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield the chain and its proof; the first step refuses callers that may not export."""
        async for part in self._log.export(company, method="AuditService.ExportEvidence"):
            if isinstance(part, AuditHead):
                yield AUDIT, orjson.dumps({"head": self._head(part)}) + b"\n"
            else:
                yield AUDIT, b"".join(map(_line, part))
        check = await self._log.verify(company)
        proof: dict[str, Json] = {
            "intact": not check.problem,
            "entries": check.entries,
            "headHash": check.last_hash.hex(),
            "brokenSequence": check.broken_sequence,
            "problem": check.problem,
            "publicKey": self._log.public_key().hex(),
        }
        yield "audit-proof.json", _json(proof)

    def _head(self, head: AuditHead) -> dict[str, Json]:
        return {
            "companyId": head.company,
            "sequence": head.sequence,
            "hash": head.hash.hex(),
            "signedAtUs": head.signed_at_us,
            "signature": head.signature.hex(),
            "publicKey": self._log.public_key().hex(),
        }

    async def _retentions(self, company: str, now_us: int) -> list[Json]:
        """Return the retention of each project, and the ended executions that it should lack."""
        found: list[Json] = []
        for project, namespace in await self._store.projects(company):
            retention = await self._retention.GetRetention(GetRetentionRequest(namespace=namespace))
            before = instant(now_us - retention.retention_ms * 1_000)
            kept = await self._count(namespace, ENDED)
            overdue = await self._count(namespace, f'{ENDED} AND ended < "{before}"')
            found.append(
                {
                    "project": project,
                    "namespace": namespace,
                    "retentionMs": retention.retention_ms,
                    "ofProject": retention.own,
                    "endedExecutions": kept,
                    "overdueExecutions": overdue if retention.retention_ms else 0,
                }
            )
        return found

    async def _count(self, namespace: str, filter: str) -> int:
        request = CountExecutionsRequest(namespace=namespace, filter=filter)
        return int((await self._searches.CountExecutions(request)).count)


def _line(entry: AuditEntry) -> bytes:
    return orjson.dumps({**entry._asdict(), "hash": entry.hash.hex()}) + b"\n"


def _drill(path: str) -> bytes:
    """Return the report of the last backup drill, or what is missing."""
    if not path:
        return _json({"missing": "FLOWMESH_DRILL_REPORT names no report of a backup drill"})
    try:
        text = Path(path).read_bytes()
        if len(text) > DRILL_REPORT_BYTES_MAX:
            return _json({"missing": f"the report has more than {DRILL_REPORT_BYTES_MAX:,} bytes"})
        return _json({"report": orjson.loads(text)})
    except (OSError, orjson.JSONDecodeError) as error:
        return _json({"missing": f"the report cannot be read: {type(error).__name__}"})


def _json(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"
