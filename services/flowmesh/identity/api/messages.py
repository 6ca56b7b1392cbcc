"""Rows of the identity service as messages."""

from collections.abc import Iterable

from flowmesh.api.identity.v1 import (
    auth_service_pb2,
    file_service_pb2,
    key_service_pb2,
    member_service_pb2,
    principal_pb2,
    quota_service_pb2,
)
from flowmesh.identity.accounts import TokenPair
from flowmesh.identity.limits import PAGE_SIZE, PAGE_SIZE_MAX
from flowmesh.identity.storage.records import (
    ApiKey,
    Grant,
    Invitation,
    Level,
    Member,
    Quota,
    StoredFile,
    User,
)
from flowmesh.records import message_of
from flowmesh.rpc.requests import check_enum_values


def user_message(user: User, grants: Iterable[Grant] = ()) -> auth_service_pb2.User:
    return message_of(auth_service_pb2.User, user, grants=map(grant_message, grants))


def grant_message(grant: Grant) -> principal_pb2.Grant:
    return message_of(principal_pb2.Grant, grant)


def member_message(member: Member) -> member_service_pb2.Member:
    return message_of(member_service_pb2.Member, member, user=user_message(member.user))


def invitation_message(invitation: Invitation) -> member_service_pb2.Invitation:
    grant = grant_message(invitation.grant)
    return message_of(member_service_pb2.Invitation, invitation, grant=grant)


def tokens_message(pair: TokenPair) -> auth_service_pb2.Tokens:
    names = {"access_token": pair.access, "refresh_token": pair.refresh}
    return message_of(auth_service_pb2.Tokens, pair, **names)


def key_message(key: ApiKey) -> key_service_pb2.ApiKey:
    return message_of(key_service_pb2.ApiKey, key, project_id=key.project)


def file_message(file: StoredFile) -> file_service_pb2.File:
    return message_of(file_service_pb2.File, file, digest=file.digest.hex())


def quota_message(quota: Quota) -> quota_service_pb2.Quota:
    return message_of(quota_service_pb2.Quota, quota)


def page_size(asked: int) -> int:
    """Return the number of entries of a page; 0 is the default."""
    return min(asked or PAGE_SIZE, PAGE_SIZE_MAX)


def level_of(value: int) -> Level:
    """Return a level by its number; raise ENUM_UNKNOWN for another number."""
    check_enum_values((value,), principal_pb2.Level, "level")
    return Level(value)
