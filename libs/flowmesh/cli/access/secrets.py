"""`secret set|list|delete`: values that tasks use, and that no call reads back."""

import sys
from typing import TYPE_CHECKING, Any

from flowmesh.api.identity.v1 import secret_service_pb2 as pb
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import pages
from flowmesh.cli.common import COMMON, Common, command, connected, run
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
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
        request = pb.PutSecretRequest(namespace=client.namespace, name=name, value=value)
        secret = (await client.caller.call(_stub(client).PutSecret, request)).secret
        output.result(document_of(secret), f"stored {secret.name}, version {secret.version}")
        return exit_codes.DONE

    return run(common, store)


@command
async def list_secrets(*, common: Common = COMMON) -> None:
    """List the names of secrets with their newest versions."""
    async with connected(common) as client:
        request = pb.ListSecretsRequest(namespace=client.namespace, page_size=PAGE)
        method = _stub(client).ListSecrets
        found = [each async for each in pages(client, method, request, "secrets")]
        output.table(
            found,
            document_of,
            "NAME VERSION BY=created_by AGE=created_at_us",
            none="The namespace has no secrets.",
        )


@command
async def delete_secret(name: str, /, *, common: Common = COMMON) -> None:
    """Delete all versions of a secret.

    Args:
        name: Name of the secret.
    """
    async with connected(common) as client:
        request = pb.DeleteSecretRequest(namespace=client.namespace, name=name)
        await client.caller.call(_stub(client).DeleteSecret, request)
        if common.structured:
            output.document({"deleted": True})


def _value(name: str) -> bytes:
    if sys.stdin.isatty():
        hint = f"printf %s VALUE | flowmesh secret set {name}"
        raise Refused("the value is read from standard input", hint, exit_codes.USAGE)
    return sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")


def _stub(client: "Client") -> Any:
    return SecretServiceStub(client.caller.channel)
