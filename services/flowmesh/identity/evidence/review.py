"""The review of access: who has what, its last use, and what is stale. Pure."""

from collections.abc import Iterable

from flowmesh.contract.json_value import Json
from flowmesh.identity.storage.evidence import ReviewedGrant, ReviewedKey, ReviewedUser
from flowmesh.identity.storage.records import Level
from flowmesh.views import instant

STALE_DAYS = 90
_STALE_US = STALE_DAYS * 24 * 3_600 * 1_000_000


def access_review(
    users: Iterable[ReviewedUser], keys: Iterable[ReviewedKey], now_us: int
) -> dict[str, Json]:
    """Return the users with their roles and the keys, each with its last use."""
    return {
        "staleAfterDays": STALE_DAYS,
        "users": [_user(each, now_us) for each in users],
        "keys": [_key(each, now_us) for each in keys],
    }


def _user(user: ReviewedUser, now_us: int) -> dict[str, Json]:
    return {
        "email": user.email,
        "name": user.name,
        "disabled": user.disabled,
        "createdAt": _time(user.created_at_us),
        "lastLoginAt": _time(user.last_login_at_us),
        "stale": _is_stale(user.created_at_us, user.last_login_at_us, now_us),
        "roles": [_grant(each) for each in user.grants],
    }


def _grant(grant: ReviewedGrant) -> dict[str, Json]:
    return {
        "role": grant.role,
        "level": Level(grant.level).name.lower(),
        "id": grant.level_id,
        "grantedBy": grant.granted_by,
        "grantedAt": _time(grant.granted_at_us),
    }


def _key(reviewed: ReviewedKey, now_us: int) -> dict[str, Json]:
    key = reviewed.key
    return {
        "id": key.id,
        "name": key.name,
        "project": reviewed.project,
        "role": key.role.value,
        "permissions": list(key.permissions),
        "createdBy": key.created_by,
        "createdAt": _time(key.created_at_us),
        "expiresAt": _time(key.expires_at_us),
        "lastUsedAt": _time(key.last_used_at_us),
        "stale": _is_stale(key.created_at_us, key.last_used_at_us, now_us),
    }


def _is_stale(created_us: int, used_us: int, now_us: int) -> bool:
    return max(created_us, used_us) < now_us - _STALE_US


def _time(us: int) -> Json:
    return instant(us) if us else None
