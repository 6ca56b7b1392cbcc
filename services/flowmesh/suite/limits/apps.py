"""Bounds of hosted applications."""

from flowmesh.apphost import limits
from flowmesh.apps.modules.http_client import HOSTED_CONNECTIONS_MAX
from flowmesh.runtime.settings import Settings
from flowmesh.suite.limits.limit import Limit

_WHERE = "apphost, at a deployment"

APPS = (
    Limit(
        "hosted applications of a namespace",
        Settings.model_fields["apps_max"].default,
        "applications",
        "APPS_LIMIT",
        _WHERE,
        f"`FLOWMESH_APPS_MAX`; the process of each has {limits.MEMORY_BYTES // 2**20} MiB of data,"
        " and one more while a release takes over",
    ),
    Limit(
        "document and files of a release", limits.SOURCE_BYTES_MAX, "bytes", "APP_TOO_LARGE", _WHERE
    ),
    Limit(
        "documents of applications that wait for a check",
        limits.CHECKS_WAITING,
        "calls",
        "OVERLOADED",
        _WHERE,
    ),
    Limit("files of a release", limits.FILES_MAX, "files", "APP_TOO_LARGE", _WHERE),
    Limit(
        "path of a file of a release",
        limits.PATH_CHARACTERS_MAX,
        "characters",
        "APP_INVALID",
        _WHERE,
    ),
    Limit("variables of a release", limits.VARIABLES_MAX, "variables", "APP_TOO_LARGE", _WHERE),
    Limit(
        "value of a variable of a release",
        limits.VARIABLE_BYTES_MAX,
        "bytes",
        "APP_TOO_LARGE",
        _WHERE,
    ),
    Limit(
        "name of a hosted application",
        limits.NAME_CHARACTERS_MAX,
        "characters",
        "APP_INVALID",
        _WHERE,
    ),
    Limit(
        "connections of an HTTP client of a hosted application",
        HOSTED_CONNECTIONS_MAX,
        "connections",
        "APP_CONFIG_INVALID",
        _WHERE,
        f"`max_idle_conns`; a process has {limits.OPEN_FILES_MAX:,} open files in all",
    ),
    Limit(
        "records of the log of an application",
        limits.LOG_RECORDS_MAX,
        "records",
        "REQUEST_INVALID",
        "apphost",
    ),
)
