"""`secrets set|list|delete`: values that tasks use, and that no call reads back."""

import sys
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command, connected, run
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.api.identity.v1 import secret_service_pb2 as pb
    from flowmesh.sdk import Client

PAGE = 1_000


@command
def set_secret(name: str, /, *, common: Common = COMMON) -> int:
    """Store a secret of the namespace; the value is read from standard input.

    A line break at the end of the value is left out.

    Args:
        name: Name of the secret: a-z, A-Z, 0-9, `.`, `_` and `-`.
    """
    value = _value(name)

    async def store(client: "Client") -> int:
        from flowmesh.api.identity.v1 import secret_service_pb2 as pb

        request = pb.PutSecretRequest(namespace=client.namespace, name=name, value=value)
        secret = (await client.caller.call(_stub(client).PutSecret, request)).secret
        output.result(_json(secret), f"stored {secret.name}, version {secret.version}")
        return exit_codes.DONE

    return run(common, store)


@command
async def list_secrets(*, common: Common = COMMON) -> None:
    """List the names of secrets with their newest versions."""
    async with connected(common) as client:
        found = await _every(client)
        if common.structured:
            output.document([_json(each) for each in found])
            return
        rows = [
            (each.name, str(each.version), each.created_by, output.age(_created(each)))
            for each in found
        ]
        output.columns(("NAME", "VERSION", "BY", "AGE"), rows)


@command
async def delete_secret(name: str, /, *, common: Common = COMMON) -> None:
    """Delete all versions of a secret.

    Args:
        name: Name of the secret.
    """
    from flowmesh.api.identity.v1 import secret_service_pb2 as pb

    async with connected(common) as client:
        request = pb.DeleteSecretRequest(namespace=client.namespace, name=name)
        await client.caller.call(_stub(client).DeleteSecret, request)
        if common.structured:
            output.document({"deleted": True})


def _value(name: str) -> bytes:
    if sys.stdin.isatty():
        hint = f"printf %s VALUE | flowmesh secrets set {name}"
        raise Refused("the value is read from standard input", hint, exit_codes.USAGE)
    return sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")


async def _every(client: "Client") -> list["pb.Secret"]:
    from flowmesh.api.identity.v1 import secret_service_pb2 as pb

    found: list[pb.Secret] = []
    token = ""
    while True:
        request = pb.ListSecretsRequest(
            namespace=client.namespace, page_size=PAGE, page_token=token
        )
        answer = await client.caller.call(_stub(client).ListSecrets, request)
        found += answer.secrets
        token = answer.next_page_token
        if not token:
            return found


def _stub(client: "Client") -> Any:
    from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub

    return SecretServiceStub(client.caller.channel)


def _created(secret: "pb.Secret") -> Any:
    from flowmesh.records import moment

    return moment(secret.created_at_us)


def _json(secret: "pb.Secret") -> dict[str, Any]:
    return {
        "name": secret.name,
        "version": secret.version,
        "createdAt": output.iso(_created(secret)),
        "createdBy": secret.created_by,
    }
