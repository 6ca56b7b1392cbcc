"""Translates SecretService messages."""

import re
from typing import Any

from flowmesh.api.identity.v1 import secret_service_pb2 as pb
from flowmesh.api.identity.v1 import secret_service_pb2_grpc
from flowmesh.identity.api.messages import page_size
from flowmesh.identity.secret_moves import PlaceInExport, SecretMoves
from flowmesh.identity.secrets import Secrets
from flowmesh.records import message_of
from flowmesh.rpc import namespace_of, valid_id
from flowmesh.rpc.pages import invalid_page_token, last_of_token, list_key, page_token

_PLACE = re.compile(r"([0-9]{1,9})/([A-Za-z0-9._-]{1,128})/([0-9]{1,9})")


class SecretServer(secret_service_pb2_grpc.SecretServiceServicer):
    """Secrets of namespaces."""

    def __init__(self, secrets: Secrets, moves: SecretMoves) -> None:
        self._secrets = secrets
        self._moves = moves

    async def PutSecret(self, request: pb.PutSecretRequest, context: Any) -> pb.PutSecretResponse:
        made = await self._secrets.put(namespace_of(request), request.name, request.value)
        return pb.PutSecretResponse(secret=message_of(pb.Secret, made))

    async def ListSecrets(
        self, request: pb.ListSecretsRequest, context: Any
    ) -> pb.ListSecretsResponse:
        count = page_size(request.page_size)
        after = last_of_token(request.page_token, list_key(request))
        found = await self._secrets.secrets(namespace_of(request), after, count + 1)
        token = page_token(list_key(request), found[count - 1].name) if len(found) > count else ""
        return pb.ListSecretsResponse(
            secrets=[message_of(pb.Secret, each) for each in found[:count]], next_page_token=token
        )

    async def DeleteSecret(
        self, request: pb.DeleteSecretRequest, context: Any
    ) -> pb.DeleteSecretResponse:
        await self._secrets.delete(namespace_of(request), request.name)
        return pb.DeleteSecretResponse()

    async def ResolveSecrets(
        self, request: pb.ResolveSecretsRequest, context: Any
    ) -> pb.ResolveSecretsResponse:
        refs = [(ref.name, ref.version) for ref in request.refs]
        values = await self._secrets.values(namespace_of(request), refs)
        return pb.ResolveSecretsResponse(values=values)

    async def PrepareSecretImport(
        self, request: pb.PrepareSecretImportRequest, context: Any
    ) -> pb.PrepareSecretImportResponse:
        import_id, public = await self._moves.prepare(namespace_of(request))
        return pb.PrepareSecretImportResponse(import_id=import_id, public_key=public)

    async def ExportSecrets(
        self, request: pb.ExportSecretsRequest, context: Any
    ) -> pb.ExportSecretsResponse:
        key = list_key(request)
        at = _place(last_of_token(request.page_token, key))
        import_id = valid_id(request.import_id, "import_id")
        sealed, then = await self._moves.page(
            namespace_of(request), import_id, request.public_key, at
        )
        token = page_token(key, f"{then.number}/{then.name}/{then.version}") if then else ""
        return pb.ExportSecretsResponse(sealed=sealed, next_page_token=token)

    async def ImportSecrets(
        self, request: pb.ImportSecretsRequest, context: Any
    ) -> pb.ImportSecretsResponse:
        import_id = valid_id(request.import_id, "import_id")
        await self._moves.take(namespace_of(request), import_id, request.sealed)
        return pb.ImportSecretsResponse()


def _place(last: str) -> PlaceInExport:
    """Return the place that a page token names."""
    if not last:
        return PlaceInExport()
    found = _PLACE.fullmatch(last)
    if found is None:
        raise invalid_page_token()
    return PlaceInExport(int(found[1]), found[2], int(found[3]))
