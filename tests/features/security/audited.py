"""A closed suite and its audit log."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

import flowmesh.api.broker.v1
import flowmesh.api.definition.v1
import flowmesh.api.event.v1
import flowmesh.api.eventstore.v1
import flowmesh.api.execution.v1
import flowmesh.api.fleet.v1
import flowmesh.api.identity.v1
import flowmesh.api.observe.v1
from flowmesh.api.common.v1 import access_pb2
from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.api.identity.v1 import audit_service_pb2_grpc
from flowmesh.testing.polling import until
from tests.features.closed import Caller, Closed

COMPANY = "co_default"
WAIT_S = 20.0
_PACKAGES = (
    flowmesh.api.broker.v1,
    flowmesh.api.definition.v1,
    flowmesh.api.event.v1,
    flowmesh.api.eventstore.v1,
    flowmesh.api.execution.v1,
    flowmesh.api.fleet.v1,
    flowmesh.api.identity.v1,
    flowmesh.api.observe.v1,
)


def service_modules() -> Iterator[tuple[Any, Any]]:
    """Yield the modules of the contracts with services: messages and stubs."""
    for package in _PACKAGES:
        for found in iter_modules(package.__path__, f"{package.__name__}."):
            if found.name.endswith("_service_pb2"):
                yield import_module(found.name), import_module(f"{found.name}_grpc")


def audited_methods() -> Iterator[MethodDescriptor]:
    """Yield the methods that their contracts mark as audited."""
    for messages, _ in service_modules():
        for service in messages.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if method.GetOptions().Extensions[access_pb2.access].audit:
                    yield method


async def call(caller: Caller, name: str, /, **fields: Any) -> Any:
    """Call a method, such as `LimitService.SetLimit`, with the fields of its request."""
    service, _, method = name.partition(".")
    for messages, stubs in service_modules():
        descriptor = messages.DESCRIPTOR.services_by_name.get(service)
        if descriptor is not None:
            kind = descriptor.methods_by_name[method].input_type
            request = getattr(import_module(_module(kind.file.name)), kind.name)(**fields)
            stub = getattr(stubs, f"{service}Stub")(caller.channel)
            streams = descriptor.methods_by_name[method].client_streaming
            return await getattr(stub, method)(iter([request]) if streams else request)
    raise LookupError(name)


def _module(file: str) -> str:
    return file.removesuffix(".proto").replace("/", ".") + "_pb2"


@dataclass(frozen=True)
class Audited:
    """A closed suite, read by its owner."""

    closed: Closed

    @property
    def log(self) -> Any:
        return audit_service_pb2_grpc.AuditServiceStub(self.closed.owner.channel)

    async def found(self, count: int = 1, **wanted: Any) -> list[pb.AuditEntry]:
        """Return the entries of a search once there are enough, newest first."""
        request = pb.SearchAuditRequest(**{"company_id": COMPANY, "page_size": 1_000, **wanted})
        entries: list[pb.AuditEntry] = []

        async def enough() -> bool:
            entries[:] = (await self.log.SearchAudit(request)).entries
            return len(entries) >= count

        await until(f"{count} entries of {wanted}", enough, within_s=WAIT_S)
        return entries

    async def in_one_of(self, companies: Iterable[str], method: str) -> None:
        """Return once the chain of one of the companies has an entry of a method."""

        async def found() -> bool:
            for company in companies:
                request = pb.SearchAuditRequest(company_id=company, method=method)
                if (await self.log.SearchAudit(request)).entries:
                    return True
            return False

        await until(f"an entry of {method}", found, within_s=WAIT_S / 4)

    async def verified(self, company: str = COMPANY) -> pb.VerifyAuditResponse:
        found: pb.VerifyAuditResponse = await self.log.VerifyAudit(
            pb.VerifyAuditRequest(company_id=company)
        )
        return found

    def postgres(self) -> str:
        """The address of the suite's database."""
        about = json.loads((self.closed.suite.data_dir / "dev.json").read_text())
        return str(about["postgres"])
