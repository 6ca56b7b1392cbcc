"""`project encryption show|require|rotate|destroy`: encryption at rest of a namespace."""

from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command, connected

if TYPE_CHECKING:
    from flowmesh.sdk import Client

_STATES = ("", "off", "required", "destroyed")


@command
async def show(*, common: Common = COMMON) -> int:
    """Show whether values of the namespace are encrypted at rest."""
    return await _call(common, "GetEncryption")


@command
async def require(*, common: Common = COMMON) -> int:
    """Encrypt the values of executions that are written from now on."""
    return await _call(common, "RequireEncryption")


@command
async def rotate(*, common: Common = COMMON) -> int:
    """Encrypt new values with a new key; former keys still open what they encrypted."""
    return await _call(common, "RotateDataKey")


@command
async def destroy(*, common: Common = COMMON) -> int:
    """Destroy all keys of the namespace: its encrypted values can never be read again."""
    return await _call(common, "DestroyDataKeys")


async def _call(common: Common, method: str) -> int:
    from flowmesh.api.identity.v1 import encryption_service_pb2 as pb

    async with connected(common) as client:
        request = getattr(pb, f"{method}Request")(namespace=client.namespace)
        answer = await client.caller.call(getattr(_stub(client), method), request)
        state = _STATES[answer.encryption.state]
        document = {"encryption": state, "keys": answer.encryption.keys}
        output.result(document, f"encryption {state}, keys: {answer.encryption.keys}")
        return exit_codes.DONE


def _stub(client: "Client") -> Any:
    from flowmesh.api.identity.v1.encryption_service_pb2_grpc import EncryptionServiceStub

    return EncryptionServiceStub(client.caller.channel)
