"""Bounds of users, tenants, API keys and logins."""

from flowmesh.access import refusals
from flowmesh.audit import records
from flowmesh.gateway.http import limits as gateway
from flowmesh.identity import limits as identity
from flowmesh.suite.limits.limit import Limit

IDENTITY = (
    Limit("slug", identity.SLUG_CHARS_MAX, "characters", "SLUG_INVALID", "identity"),
    Limit(
        "name of a tenant, user or key",
        identity.NAME_CHARS_MAX,
        "characters",
        "REQUEST_INVALID",
        "identity",
    ),
    Limit("email address", identity.EMAIL_CHARS_MAX, "characters", "REQUEST_INVALID", "identity"),
    Limit("password", identity.PASSWORD_BYTES_MAX, "bytes", "PASSWORD_WEAK", "identity"),
    Limit(
        "body of a login or a refresh",
        gateway.CREDENTIALS_BYTES_MAX,
        "bytes",
        "BODY_TOO_LARGE",
        "gateway",
    ),
    Limit(
        "queues, task types, networks or permissions of an API key",
        identity.KEY_LIST_MAX,
        "entries",
        "REQUEST_INVALID",
        "identity",
    ),
    Limit(
        "overlap of the secrets of an API key",
        identity.KEY_OVERLAP_S_MAX,
        "s",
        "REQUEST_INVALID",
        "identity",
    ),
    Limit("workspace file", identity.FILE_BYTES_MAX, "bytes", "FILE_TOO_LARGE", "identity"),
    Limit(
        "path of a workspace file",
        identity.FILE_PATH_BYTES_MAX,
        "bytes",
        "FILE_PATH_INVALID",
        "identity",
    ),
    Limit(
        "segment of the path of a workspace file",
        identity.FILE_NAME_BYTES_MAX,
        "bytes",
        "FILE_PATH_INVALID",
        "identity",
    ),
    Limit("value of a quota", identity.QUOTA_MAX, "", "REQUEST_INVALID", "identity"),
    Limit("hours of a usage report", identity.USAGE_HOURS_MAX, "h", "REQUEST_INVALID", "identity"),
    Limit("value of a secret", identity.SECRET_BYTES_MAX, "bytes", "SECRET_INVALID", "identity"),
    Limit("secrets of a namespace", identity.SECRETS_MAX, "", "SECRET_INVALID", "identity"),
    Limit("secrets of a task", identity.SECRET_REFS_MAX, "", "SECRET_INVALID", "identity"),
    Limit(
        "filter of an audit search",
        identity.AUDIT_FILTER_CHARS_MAX,
        "characters",
        "REQUEST_INVALID",
        "identity",
    ),
    Limit(
        "records of changes that a service sends at once",
        identity.AUDIT_RECORDS_MAX,
        "",
        "REQUEST_INVALID",
        "identity",
    ),
    Limit(
        "text of an audit entry",
        records.TEXT_CHARACTERS_MAX,
        "characters",
        "",
        "every service with an outbox",
        "longer ones are cut",
    ),
    Limit(
        "object in an audit entry",
        records.DETAILS_BYTES_MAX,
        "bytes",
        "",
        "every service with an outbox",
        "before and after the change; larger ones are represented by their digests only",
    ),
    Limit(
        "refusals that wait for the audit log",
        refusals.WAITING_MAX,
        "",
        "",
        "every process",
        "sent each second; further ones are counted only",
    ),
    Limit(
        "delay after failed logins",
        identity.DELAY_S_MAX,
        "s",
        "LOGIN_DELAYED",
        "identity",
        "of an account from one network; doubles with each failure from the sixth on",
    ),
    Limit(
        "failed logins of an account in an hour",
        identity.ACCOUNT_FAILURES_MAX,
        "",
        "LOGIN_DELAYED",
        "identity",
        "from all networks together; networks with an earlier login are not counted or delayed",
    ),
    Limit(
        "logins of one network that wait for their turn",
        identity.HASHES_WAITING_MAX,
        "",
        "LOGIN_DELAYED",
        "identity",
        "the password of one of them is verified at a time",
    ),
)
