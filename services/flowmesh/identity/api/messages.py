"""Rows of the identity service as messages."""

from dataclasses import asdict

from flowmesh.api.identity.v1 import (
    auth_service_pb2,
    file_service_pb2,
    key_service_pb2,
    member_service_pb2,
    principal_pb2,
    quota_service_pb2,
    tenant_service_pb2,
)
from flowmesh.identity.accounts import TokenPair
from flowmesh.identity.limits import PAGE_SIZE, PAGE_SIZE_MAX
from flowmesh.identity.storage.records import (
    ApiKey,
    Company,
    Grant,
    Invitation,
    Level,
    Member,
    Organization,
    Project,
    Quota,
    StoredFile,
    User,
)
from flowmesh.rpc.requests import check_enum_values


def company_message(company: Company) -> tenant_service_pb2.Company:
    return tenant_service_pb2.Company(
        id=company.id,
        slug=company.slug,
        name=company.name,
        created_at_us=company.created_at_us,
        etag=str(company.etag),
    )


def organization_message(organization: Organization) -> tenant_service_pb2.Organization:
    return tenant_service_pb2.Organization(
        id=organization.id,
        company_id=organization.company,
        slug=organization.slug,
        name=organization.name,
        created_at_us=organization.created_at_us,
        etag=str(organization.etag),
    )


def project_message(project: Project) -> tenant_service_pb2.Project:
    return tenant_service_pb2.Project(
        id=project.id,
        organization_id=project.organization,
        company_id=project.company,
        slug=project.slug,
        name=project.name,
        namespace=project.namespace,
        created_at_us=project.created_at_us,
        etag=str(project.etag),
    )


def user_message(user: User, grants: list[Grant] | None = None) -> auth_service_pb2.User:
    return auth_service_pb2.User(
        id=user.id,
        email=user.email,
        name=user.name,
        created_at_us=user.created_at_us,
        disabled=user.disabled,
        last_login_at_us=user.last_login_at_us,
        grants=[grant_message(grant) for grant in grants or ()],
    )


def grant_message(grant: Grant) -> principal_pb2.Grant:
    return principal_pb2.Grant(
        level=principal_pb2.Level.ValueType(int(grant.level)),
        level_id=grant.level_id,
        role=grant.role.value,
    )


def member_message(member: Member) -> member_service_pb2.Member:
    return member_service_pb2.Member(
        user=user_message(member.user),
        role=member.role.value,
        level=principal_pb2.Level.ValueType(int(member.level)),
    )


def invitation_message(invitation: Invitation) -> member_service_pb2.Invitation:
    return member_service_pb2.Invitation(
        id=invitation.id,
        email=invitation.email,
        grant=grant_message(invitation.grant),
        created_at_us=invitation.created_at_us,
        expires_at_us=invitation.expires_at_us,
    )


def tokens_message(pair: TokenPair) -> auth_service_pb2.Tokens:
    return auth_service_pb2.Tokens(
        access_token=pair.access,
        access_expires_at_us=pair.access_expires_at_us,
        refresh_token=pair.refresh,
        refresh_expires_at_us=pair.refresh_expires_at_us,
    )


def key_message(key: ApiKey) -> key_service_pb2.ApiKey:
    return key_service_pb2.ApiKey(
        id=key.id,
        project_id=key.project,
        name=key.name,
        role=key.role.value,
        queues=key.queues,
        task_types=key.task_types,
        networks=key.networks,
        permissions=key.permissions,
        created_at_us=key.created_at_us,
        expires_at_us=key.expires_at_us,
        last_used_at_us=key.last_used_at_us,
        created_by=key.created_by,
    )


def file_message(file: StoredFile) -> file_service_pb2.File:
    return file_service_pb2.File(
        path=file.path,
        version=file.version,
        size_bytes=file.size_bytes,
        digest=file.digest.hex(),
        media_type=file.media_type,
        created_at_us=file.created_at_us,
        created_by=file.created_by,
    )


def quota_message(quota: Quota) -> quota_service_pb2.Quota:
    return quota_service_pb2.Quota(**asdict(quota))


def page_size(asked: int) -> int:
    """Return the number of entries of a page; 0 is the default."""
    return min(asked or PAGE_SIZE, PAGE_SIZE_MAX)


def level_of(value: int) -> Level:
    """Return a level by its number; raise ENUM_UNKNOWN for another number."""
    check_enum_values((value,), principal_pb2.Level, "level")
    return Level(value)
