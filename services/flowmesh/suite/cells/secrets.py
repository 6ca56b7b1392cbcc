"""Secrets of a project that moves, sealed by the source for a key that the target makes."""

from flowmesh.api.identity.v1 import secret_service_pb2 as pb
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.cells import Move
from flowmesh.errors import WrongState
from flowmesh.suite.cells.parts import CannotMove, Part


class Secrets(Part):
    """All versions of the secrets. This command cannot open what it carries."""

    async def copy(self) -> None:
        """Find a secret that cannot be read, or a missing role, before the switch."""
        await self._copy()

    async def switch(self, move: Move) -> None:
        await self._copy()

    async def _copy(self) -> None:
        """Give the project at the target the secrets of the source, and no others."""
        source, target = self._source, self._target
        here, there = SecretServiceStub(source.channel), SecretServiceStub(target.channel)
        opened = await target.call(there.PrepareSecretImport, pb.PrepareSecretImportRequest())
        export = pb.ExportSecretsRequest(import_id=opened.import_id, public_key=opened.public_key)
        while True:
            try:
                page = await source.call(here.ExportSecrets, export)
            except WrongState as error:
                raise CannotMove(f"a secret that cannot be read: {error.message}") from None
            taken = pb.ImportSecretsRequest(import_id=opened.import_id, sealed=page.sealed)
            await target.call(there.ImportSecrets, taken)
            if not page.next_page_token:
                return
            export.page_token = page.next_page_token
