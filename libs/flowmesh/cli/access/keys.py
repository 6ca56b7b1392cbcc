"""`keys`: API keys of programs and workers."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowmesh.api.identity.v1 import key_service_pb2 as pb
from flowmesh.api.identity.v1.key_service_pb2_grpc import KeyServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import PAGE_SIZE, Tenants, pages
from flowmesh.cli.arguments import ProjectOption
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
    project: ProjectOption = "",
    queue: Names = None,
    task_type: Names = None,
    network: Names = None,
    permission: Names = None,
    days: float = 0.0,
    common: Common = COMMON,
) -> int:
    """Create an API key and print its secret, which is shown this once.

    Args:
        name: Name of the key, for people.
        role: Role of the key in its project.
        queue: Queue that a worker with the key may serve; may be repeated, any by default.
        task_type: Task type that a worker with the key may serve; may be repeated, any by default.
        network: Network that the key may be used from, such as 10.0.0.0/8; may be repeated.
        permission: Permission that tasks may require of the starter, or `scim:<provider id>` to
            provision users; may be repeated.
        days: Days until the key expires; 0 is never.
    """
    async with connected(common) as client:
        expires = output.now() + timedelta(days=days) if days else None
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
async def list_keys(*, project: ProjectOption = "", common: Common = COMMON) -> None:
    """List the API keys of a project, newest first, without their secrets."""
    async with connected(common) as client:
        chosen = await Tenants(client).project(project)
        request = pb.ListApiKeysRequest(project_id=chosen.id, page_size=PAGE_SIZE)
        method = _stub(client).ListApiKeys
        found = [each async for each in pages(client, method, request, "keys")]
        output.table(
            found,
            document_of,
            "ID NAME ROLE QUEUES TASK_TYPES EXPIRES=expires_at_us LAST_USED=last_used_at_us "
            "CREATED=created_at_us",
            none=f"There are no API keys of project {chosen.slug}.",
            QUEUES=lambda each: _any(each.queues),
            TASK_TYPES=lambda each: _any(each.task_types),
        )


@command
async def rotate_key(key: str, /, *, hours: float = 24.0, common: Common = COMMON) -> int:
    """Add a secret to an API key and print it; the former one remains valid for a time.

    Args:
        key: Id of the key.
        hours: Hours for which the former secret remains valid; at most 720.
    """
    async with connected(common) as client:
        request = pb.RotateApiKeyRequest(key_id=key, overlap_seconds=max(1, round(hours * HOUR_S)))
        answer = await client.caller.call(_stub(client).RotateApiKey, request)
        return _shown_once(common, answer.key, answer.secret)


@command
async def delete_key(key: str, /, *, common: Common = COMMON) -> None:
    """Delete an API key; it is refused everywhere within a second.

    Args:
        key: Id of the key.
    """
    async with connected(common) as client:
        await client.caller.call(_stub(client).DeleteApiKey, pb.DeleteApiKeyRequest(key_id=key))
        output.result({"id": key, "deleted": True}, f"API key {key} is deleted")


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
