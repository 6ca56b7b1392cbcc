"""Translates KeyService messages."""

from typing import Any

from flowmesh.api.identity.v1 import key_service_pb2 as pb
from flowmesh.api.identity.v1 import key_service_pb2_grpc
from flowmesh.identity.api.messages import key_message, page_size
from flowmesh.identity.api_keys import ApiKeys, key_role
from flowmesh.identity.credentials.api_keys import new_id
from flowmesh.identity.permissions import caller
from flowmesh.identity.storage.records import ApiKey
from flowmesh.rpc.pages import last_of_token, list_key, page_token


class KeyServer(key_service_pb2_grpc.KeyServiceServicer):
    """API keys."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, context: Any
    ) -> pb.CreateApiKeyResponse:
        key = ApiKey(
            id=f"key_{new_id()}",
            project=request.project_id,
            name=request.name,
            role=key_role(request.role),
            queues=tuple(request.queues),
            task_types=tuple(request.task_types),
            networks=tuple(request.networks),
            permissions=tuple(request.permissions),
            created_by=caller().id,
            created_at_us=0,
            expires_at_us=request.expires_at_us,
            last_used_at_us=0,
        )
        created, text = await self._keys.create(key)
        return pb.CreateApiKeyResponse(key=key_message(created), secret=text)

    async def ListApiKeys(
        self, request: pb.ListApiKeysRequest, context: Any
    ) -> pb.ListApiKeysResponse:
        count = page_size(request.page_size)
        before = last_of_token(request.page_token, list_key(request))
        found = await self._keys.keys(
            request.project_id, int(before) if before else None, count + 1
        )
        token = ""
        if len(found) > count:
            token = page_token(list_key(request), str(found[count - 1].created_at_us))
        return pb.ListApiKeysResponse(
            keys=[key_message(each) for each in found[:count]], next_page_token=token
        )

    async def GetApiKey(self, request: pb.GetApiKeyRequest, context: Any) -> pb.GetApiKeyResponse:
        return pb.GetApiKeyResponse(key=key_message(await self._keys.key(request.key_id)))

    async def UpdateApiKey(
        self, request: pb.UpdateApiKeyRequest, context: Any
    ) -> pb.UpdateApiKeyResponse:
        networks = tuple(request.networks.values) if request.HasField("networks") else None
        changed = await self._keys.update(
            request.key_id, request.name, networks, request.expires_at_us
        )
        return pb.UpdateApiKeyResponse(key=key_message(changed))

    async def RotateApiKey(
        self, request: pb.RotateApiKeyRequest, context: Any
    ) -> pb.RotateApiKeyResponse:
        key, text = await self._keys.rotate(request.key_id, request.overlap_seconds)
        return pb.RotateApiKeyResponse(key=key_message(key), secret=text)

    async def DeleteApiKey(
        self, request: pb.DeleteApiKeyRequest, context: Any
    ) -> pb.DeleteApiKeyResponse:
        await self._keys.delete(request.key_id)
        return pb.DeleteApiKeyResponse()
