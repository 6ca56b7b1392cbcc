"""`project encryption`: encryption at rest of a namespace, and the key that wraps all keys."""

from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.views import instant

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


@command
async def wrapping(*, common: Common = COMMON) -> int:
    """Show the key that wraps the data keys of all namespaces, and former keys still in use."""
    from flowmesh.api.identity.v1 import encryption_service_pb2 as pb

    async with connected(common) as client:
        found = await client.caller.call(_stub(client).GetWrapping, pb.GetWrappingRequest())
        uses = {use.wrapping_key: use.data_keys for use in found.uses}
        former = sum(count for name, count in uses.items() if name != found.wrapping_key)
        confirmed = instant(found.confirmed_at_us) if found.confirmed_at_us else ""
        document = {
            "wrappingKey": found.wrapping_key,
            "confirmedAt": confirmed,
            "problem": found.problem,
            "dataKeys": uses,
            "toRewrap": former,
        }
        if common.structured:
            output.document(document)
            return exit_codes.DONE
        rows = [
            ("wrapping key", found.wrapping_key),
            ("usable", found.problem or f"yes, at {confirmed}"),
            *((f"keys by {name}", str(count)) for name, count in uses.items()),
            ("to rewrap", str(former) if former else "none: former keys can be removed"),
        ]
        output.columns(("", ""), rows)
        return exit_codes.DONE


async def _call(common: Common, method: str) -> int:
    from flowmesh.api.identity.v1 import encryption_service_pb2 as pb

    async with connected(common) as client:
        request = getattr(pb, f"{method}Request")(namespace=client.namespace)
        answer = await client.caller.call(getattr(_stub(client), method), request)
        state = _STATES[answer.encryption.state]
        keys, names = answer.encryption.keys, list(answer.encryption.wrapping_keys)
        document = {"encryption": state, "keys": keys, "wrappingKeys": names}
        text = f"encryption {state}, keys: {keys}"
        output.result(document, f"{text}, wrapped by {', '.join(names)}" if names else text)
        return exit_codes.DONE


def _stub(client: "Client") -> Any:
    from flowmesh.api.identity.v1.encryption_service_pb2_grpc import EncryptionServiceStub

    return EncryptionServiceStub(client.caller.channel)
