"""`keys`: API keys of programs and workers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.api.identity.v1 import key_service_pb2 as pb
from flowmesh.api.identity.v1.key_service_pb2_grpc import KeyServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import age_of, document_of
from flowmesh.cli.access.levels import PAGE_SIZE, Tenants, pages
from flowmesh.cli.common import COMMON, Common, command, connected

if TYPE_CHECKING:
    from flowmesh.sdk import Client

KeyRole = Literal["viewer", "editor", "admin", "worker"]
HOUR_S = 3_600
Names = Annotated[list[str] | None, Parameter(negative="")]


@command
async def create_key(
    name: str,
    /,
    *,
    role: KeyRole,
    project: str = "",
    queue: Names = None,
    task_type: Names = None,
    network: Names = None,
    permission: Names = None,
    days: float = 0.0,
    common: Common = COMMON,
) -> int:
    """Create an API key and print its secret, which is shown this once.

    Parameters
    ----------
    name
        Name of the key, for people.
    role
        Role of the key in its project.
    project
        Id, slug or namespace of the project; by default that of the namespace.
    queue
        Queue that a worker with the key may serve; may be repeated, any by default.
    task_type
        Task type that a worker with the key may serve; may be repeated, any by default.
    network
        Network that the key may be used from, such as 10.0.0.0/8; may be repeated.
    permission
        Permission that tasks may require of the starter; may be repeated.
    days
        Days until the key expires; 0 is never.
    """
    async with connected(common) as client:
        expires = datetime.now(UTC) + timedelta(days=days) if days else None
        request = pb.CreateApiKeyRequest(
            project_id=(await Tenants(client).project(project)).id,
            name=name,
            role=role,
            queues=queue,
            task_types=task_type,
            networks=network,
            permissions=permission,
            expires_at_us=int(expires.timestamp() * 1e6) if expires else 0,
        )
        answer = await client.caller.call(_stub(client).CreateApiKey, request)
        return _shown_once(common, answer.key, answer.secret)


@command
async def list_keys(*, project: str = "", common: Common = COMMON) -> int:
    """List the API keys of a project, newest first, without their secrets.

    Parameters
    ----------
    project
        Id, slug or namespace of the project; by default that of the namespace.
    """
    async with connected(common) as client:
        chosen = await Tenants(client).project(project)
        request = pb.ListApiKeysRequest(project_id=chosen.id, page_size=PAGE_SIZE)
        method = _stub(client).ListApiKeys
        found = [each async for each in pages(client, method, request, "keys")]
        documents = [document_of(each) for each in found]
        header = ("ID", "NAME", "ROLE", "QUEUES", "TASK TYPES", "EXPIRES", "LAST USED", "CREATED")
        rows = [
            (
                each.id,
                each.name,
                each.role,
                _any(each.queues),
                _any(each.task_types),
                age_of(each.expires_at_us),
                age_of(each.last_used_at_us),
                age_of(each.created_at_us),
            )
            for each in found
        ]
        output.listing(
            documents, header, rows, none=f"There are no API keys of project {chosen.slug}."
        )
        return exit_codes.DONE


@command
async def rotate_key(key: str, /, *, hours: float = 24.0, common: Common = COMMON) -> int:
    """Add a secret to an API key and print it; the former one remains valid for a time.

    Parameters
    ----------
    key
        Id of the key.
    hours
        Hours for which the former secret remains valid; at most 720.
    """
    async with connected(common) as client:
        request = pb.RotateApiKeyRequest(key_id=key, overlap_seconds=max(1, round(hours * HOUR_S)))
        answer = await client.caller.call(_stub(client).RotateApiKey, request)
        return _shown_once(common, answer.key, answer.secret)


@command
async def delete_key(key: str, /, *, common: Common = COMMON) -> int:
    """Delete an API key; it is refused everywhere within a second.

    Parameters
    ----------
    key
        Id of the key.
    """
    async with connected(common) as client:
        await client.caller.call(_stub(client).DeleteApiKey, pb.DeleteApiKeyRequest(key_id=key))
        output.result({"id": key, "deleted": True}, f"API key {key} is deleted")
        return exit_codes.DONE


def _stub(client: "Client") -> Any:
    return KeyServiceStub(client.caller.channel)


def _any(names: Sequence[str]) -> str:
    return ", ".join(names) or "any"


def _shown_once(common: Common, key: pb.ApiKey, secret: str) -> int:
    if common.structured:
        output.document(document_of(key) | {"secret": secret})
        return exit_codes.DONE
    output.columns(("key", key.id), [("role", key.role), ("secret", secret)])
    output.problem("flowmesh: the secret is not shown again; set it as FLOWMESH_API_KEY")
    return exit_codes.DONE
