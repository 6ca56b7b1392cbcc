"""Translates EncryptionService messages."""

from collections.abc import Sequence
from typing import Any

from flowmesh.api.identity.v1 import encryption_service_pb2 as pb
from flowmesh.api.identity.v1 import encryption_service_pb2_grpc
from flowmesh.identity.encryption import Encryption
from flowmesh.identity.storage.records import PayloadKey
from flowmesh.identity.wrapping.keys import key_name
from flowmesh.identity.wrapping.wrapping import Wrapping
from flowmesh.rpc import namespace_of


class EncryptionServer(encryption_service_pb2_grpc.EncryptionServiceServicer):
    """Encryption at rest of namespaces."""

    def __init__(self, encryption: Encryption, wrapping: Wrapping) -> None:
        self._encryption = encryption
        self._wrapping = wrapping

    async def GetEncryption(
        self, request: pb.GetEncryptionRequest, context: Any
    ) -> pb.GetEncryptionResponse:
        keys = await self._encryption.keys(namespace_of(request))
        return pb.GetEncryptionResponse(encryption=_message(keys))

    async def RequireEncryption(
        self, request: pb.RequireEncryptionRequest, context: Any
    ) -> pb.RequireEncryptionResponse:
        keys = await self._encryption.require(namespace_of(request))
        return pb.RequireEncryptionResponse(encryption=_message(keys))

    async def RotateDataKey(
        self, request: pb.RotateDataKeyRequest, context: Any
    ) -> pb.RotateDataKeyResponse:
        keys = await self._encryption.rotate(namespace_of(request))
        return pb.RotateDataKeyResponse(encryption=_message(keys))

    async def DestroyDataKeys(
        self, request: pb.DestroyDataKeysRequest, context: Any
    ) -> pb.DestroyDataKeysResponse:
        keys = await self._encryption.destroy(namespace_of(request))
        return pb.DestroyDataKeysResponse(encryption=_message(keys))

    async def GetWrapping(
        self, request: pb.GetWrappingRequest, context: Any
    ) -> pb.GetWrappingResponse:
        uses = await self._encryption.uses()
        return pb.GetWrappingResponse(
            wrapping_key=key_name(self._wrapping.name),
            confirmed_at_us=self._wrapping.confirmed_at_us,
            problem=self._wrapping.problem,
            uses=[
                pb.WrappingKeyUse(wrapping_key=key_name(by), data_keys=count)
                for by, count in uses.items()
            ],
        )

    async def ListDataKeys(
        self, request: pb.ListDataKeysRequest, context: Any
    ) -> pb.ListDataKeysResponse:
        return pb.ListDataKeysResponse(
            keys=[
                pb.DataKey(namespace=each.namespace, number=each.number, sealed_key=each.sealed_key)
                for each in await self._encryption.every()
            ]
        )


def _message(keys: Sequence[PayloadKey]) -> pb.Encryption:
    if not keys:
        return pb.Encryption(state=pb.ENCRYPTION_STATE_OFF)
    newest = keys[-1]
    usable = pb.ENCRYPTION_STATE_REQUIRED if newest.sealed_key else pb.ENCRYPTION_STATE_DESTROYED
    return pb.Encryption(
        state=usable,
        keys=len(keys),
        key_created_at_us=newest.created_at_us,
        wrapping_keys=sorted({key_name(each.wrapped_by) for each in keys if each.sealed_key}),
    )
