"""The evidence for an audit of a closed suite."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.api.identity.v1 import audit_service_pb2_grpc
from tests.features.closed import Closed, closed_suite
from tests.features.commands import command

COMPANY = "co_default"
FILES = {
    "access-review.json",
    "audit-proof.json",
    "audit.jsonl",
    "backup-drill.json",
    "controls.json",
    "manifest.json",
    "retention.json",
    "sbom.cdx.json",
    "versions.json",
}
REPORT = {"restoredAt": "2026-11-20T10:00:00Z", "seconds": 40}


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    folder: Path = tmp_path_factory.mktemp("evidence")
    report = folder / "drill.json"
    report.write_text(json.dumps(REPORT))
    async with closed_suite(folder, FLOWMESH_DRILL_REPORT=str(report)) as closed:
        yield closed


async def export(closed: Closed, folder: Path) -> None:
    outcome = await command(
        closed.suite,
        *("evidence", "export", "--to", str(folder)),
        environment={"FLOWMESH_TOKEN": closed.owner.credential},
    )
    assert outcome.code == 0, outcome.err


def contents(folder: Path) -> dict[str, Any]:
    """Return the files by name, JSON lines as lists."""
    return {
        file.name: [orjson.loads(line) for line in file.read_bytes().splitlines()]
        if file.suffix == ".jsonl"
        else orjson.loads(file.read_bytes())
        for file in folder.iterdir()
    }


@pytest.mark.long
@pytest.mark.feature("S1-195")
async def test_the_evidence_of_a_company_is_exported(closed: Closed, tmp_path: Path) -> None:
    """Controls, a chain that proves itself, who has access, retention, materials, the drill."""
    project = await closed.project("ledger")
    await closed.key(project.id, "editor")
    folder = tmp_path / "evidence"
    await export(closed, folder)
    files = contents(folder)
    assert files.keys() == FILES
    for name, digest in files["manifest.json"]["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    named = {name for each in files["controls.json"]["controls"] for name in each["evidence"]}
    assert named <= FILES
    _check_chain(files["audit.jsonl"], files["audit-proof.json"])
    review = files["access-review.json"]
    [owner] = review["users"]
    assert owner["email"] == "owner@example.com"
    assert owner["roles"][0]["role"] == "owner"
    assert owner["createdAt"]
    assert not owner["stale"]
    [key] = [each for each in review["keys"] if each["project"] == "ledger"]
    assert (key["role"], key["lastUsedAt"]) == ("editor", None)
    [kept] = [each for each in files["retention.json"]["projects"] if each["project"] == "ledger"]
    assert kept["retentionMs"] > 0
    assert kept["overdueExecutions"] == 0
    materials = files["sbom.cdx.json"]
    assert materials["bomFormat"] == "CycloneDX"
    assert "grpcio" in {each["name"] for each in materials["components"]}
    assert files["versions.json"]["flowmesh"] == materials["metadata"]["component"]["version"]
    assert files["backup-drill.json"] == {"report": REPORT}


def _check_chain(lines: list[Any], proof: Any) -> None:
    """Compute the hashes of a chain anew, and verify the signature of its end."""
    *entries, last = lines
    head, previous = last["head"], bytes(32)
    for entry in entries:
        fields = [COMPANY, *(value for name, value in entry.items() if name != "hash")]
        previous = hashlib.sha256(previous + orjson.dumps(fields)).digest()
        assert previous.hex() == entry["hash"]
    assert head["hash"] == previous.hex()
    assert proof["intact"]
    assert proof["publicKey"] == head["publicKey"]
    lines = ["flowmesh audit", COMPANY, head["sequence"], head["hash"], head["signedAtUs"]]
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(proof["publicKey"]))
    key.verify(bytes.fromhex(head["signature"]), "\n".join(map(str, lines)).encode())


@pytest.mark.long
@pytest.mark.feature("S1-195")
async def test_only_owners_export_evidence(closed: Closed) -> None:
    """Over gRPC and REST; an export is an entry of the audit log."""
    project = await closed.project("limited")
    admin = await closed.key(project.id, "admin")
    stub: Any = audit_service_pb2_grpc.AuditServiceStub(admin.channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in stub.ExportEvidence(pb.ExportEvidenceRequest(company_id=COMPANY)):
            pass
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    path = f"/api/v1/evidence:export?companyId={COMPANY}"
    assert (await admin.rest("GET", path))[0] == 403
    lines = (await closed.owner.text(path)).splitlines()
    assert {json.loads(line)["name"] for line in lines} == FILES
    owner: Any = audit_service_pb2_grpc.AuditServiceStub(closed.owner.channel)
    method = "AuditService.ExportEvidence"
    found = await owner.SearchAudit(pb.SearchAuditRequest(company_id=COMPANY, method=method))
    done = {each.actor for each in found.entries if each.outcome == "ok"}
    assert done == {"owner@example.com"}
