"""Translates SecretService messages."""

from typing import Any

from flowmesh.api.identity.v1 import secret_service_pb2 as pb
from flowmesh.api.identity.v1 import secret_service_pb2_grpc
from flowmesh.identity.api.messages import page_size
from flowmesh.identity.secrets import Secrets
from flowmesh.identity.storage.records import SecretVersion
from flowmesh.rpc import namespace_of
from flowmesh.rpc.pages import last_of_token, list_key, page_token


class SecretServer(secret_service_pb2_grpc.SecretServiceServicer):
    """Secrets of namespaces."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def PutSecret(self, request: pb.PutSecretRequest, context: Any) -> pb.PutSecretResponse:
        made = await self._secrets.put(namespace_of(request), request.name, request.value)
        return pb.PutSecretResponse(secret=_message(made))

    async def ListSecrets(
        self, request: pb.ListSecretsRequest, context: Any
    ) -> pb.ListSecretsResponse:
        count = page_size(request.page_size)
        after = last_of_token(request.page_token, list_key(request))
        found = await self._secrets.secrets(namespace_of(request), after, count + 1)
        token = page_token(list_key(request), found[count - 1].name) if len(found) > count else ""
        return pb.ListSecretsResponse(
            secrets=[_message(each) for each in found[:count]], next_page_token=token
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


def _message(secret: SecretVersion) -> pb.Secret:
    return pb.Secret(
        name=secret.name,
        version=secret.version,
        created_at_us=secret.created_at_us,
        created_by=secret.created_by,
    )
