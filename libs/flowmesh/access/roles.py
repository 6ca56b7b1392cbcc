"""Roles and the permissions that each has: the matrix of docs/roles.md.

A permission is one bit, so that a check is one `&` of two integers.
"""

from enum import StrEnum

from flowmesh.api.common.v1.access_pb2 import AccessGroup


class Role(StrEnum):
    """A role on a company, an organization, a project or the whole installation."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    OWNER = "owner"
    WORKER = "worker"


def bit(group: int) -> int:
    """Return the permission bit of a group of methods; 0 for groups that need no role."""
    return 1 << group if group >= AccessGroup.ACCESS_GROUP_READ else 0


READ = bit(AccessGroup.ACCESS_GROUP_READ)
RUN = bit(AccessGroup.ACCESS_GROUP_RUN)
EDIT = bit(AccessGroup.ACCESS_GROUP_EDIT)
OPERATE = bit(AccessGroup.ACCESS_GROUP_OPERATE)
MANAGE = bit(AccessGroup.ACCESS_GROUP_MANAGE)
OWN = bit(AccessGroup.ACCESS_GROUP_OWN)
WORK = bit(AccessGroup.ACCESS_GROUP_WORK)
REVEAL = bit(AccessGroup.ACCESS_GROUP_REVEAL)

_EDITOR = READ | RUN | EDIT
_ADMIN = _EDITOR | OPERATE | MANAGE | WORK | REVEAL
PERMISSIONS: dict[Role, int] = {
    Role.VIEWER: READ,
    Role.EDITOR: _EDITOR,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN | OWN,
    Role.WORKER: WORK,
}
# The name by which an API key of any role gets the permission `reveal`.
REVEAL_NAME = "values.reveal"
# Callers with this permission may name another actor and the permissions of a start.
ACT_AS = OPERATE

GROUP_NAMES: dict[int, str] = {
    READ: "read",
    RUN: "run",
    EDIT: "edit",
    OPERATE: "operate",
    MANAGE: "manage",
    OWN: "own",
    WORK: "work",
    REVEAL: "reveal",
}


def roles_with(bits: int) -> list[str]:
    """Return the names of the roles that have one of the permissions, the least first."""
    return [role.value for role, has in PERMISSIONS.items() if has & bits]


def is_within(role: Role, bits: int) -> bool:
    """Return whether a caller with these permissions may grant the role."""
    return PERMISSIONS[role] & ~bits == 0
