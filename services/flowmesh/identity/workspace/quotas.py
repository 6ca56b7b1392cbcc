"""Quotas of projects, and their use now and per hour."""

from dataclasses import asdict, replace

from flowmesh.access.roles import MANAGE, READ
from flowmesh.bus import Bus
from flowmesh.errors import FlowmeshError, Forbidden, Invalid, Unavailable, Violation
from flowmesh.identity.limits import QUOTA_MAX, USAGE_HOURS, USAGE_HOURS_MAX, USAGE_KEPT_DAYS
from flowmesh.identity.permissions import Permissions, caller
from flowmesh.identity.storage.quotas import NamespaceLimits, QuotaStore
from flowmesh.identity.storage.records import Project, Quota, Usage
from flowmesh.identity.workspace.use import DAY_US, HOUR_US, ProjectUse
from flowmesh.runtime import Clock
from flowmesh.runtime.loop import Loop
from flowmesh.runtime.namespace_quotas import QUOTAS

PROJECTS_PER_PAGE = 500


class Announcements:
    """Announces changed quotas to the services that enforce them."""

    def __init__(self, bus: Bus, prefix: str) -> None:
        self._bus = bus
        self._subject = f"{prefix}.{QUOTAS}"

    async def changed(self) -> None:
        """Publish a message; without the bus, services read the quotas within half a minute."""
        try:
            await self._bus.publish_core(self._subject, b"")
            await self._bus.flush()
        except Unavailable:
            return


class Quotas:
    """Quotas and use, on behalf of the caller."""

    def __init__(
        self,
        *,
        store: QuotaStore,
        permissions: Permissions,
        use: ProjectUse,
        announcements: Announcements,
        clock: Clock,
    ) -> None:
        self._store = store
        self._permissions = permissions
        self._use = use
        self._announcements = announcements
        self._clock = clock

    async def quota(self, project: str) -> tuple[Quota, Quota, Quota]:
        """Return the quota of a project, its use now, and the ceiling of its parent."""
        found = await self._permissions.tenant(Project, project, READ)
        used = await self._use.now(found, self._clock.now_us())
        return await self._store.of_project(project), used, await self._store.ceiling(project)

    async def set(self, project: str, quota: Quota) -> None:
        """Set the quota; a role on the organization or above also sets its ceiling by that.

        Raise QUOTA_ABOVE_PARENT if the caller has a role on the project only, and the quota is
        above the ceiling.
        """
        found = await self._permissions.tenant(Project, project, MANAGE)
        check_quota(quota)
        parent = replace(found.place, project="")
        is_parents = bool(await self._permissions.bits(parent) & MANAGE)
        async with self._store.changing(project) as change:
            if not is_parents:
                check_ceiling(quota, await change.ceiling(), parent.organization)
            await change.set(quota, caller().id)
            if is_parents:
                await change.set_ceiling()
        await self._announcements.changed()

    async def usage(self, project: str, hours: int) -> list[Usage]:
        """Return the use per hour of the last hours, newest first."""
        found = await self._permissions.tenant(Project, project, READ)
        if hours > USAGE_HOURS_MAX:
            raise _wrong("hours", f"{hours:,} hours are more than {USAGE_HOURS_MAX}")
        now_us = self._clock.now_us()
        since_us = now_us - now_us % HOUR_US - ((hours or USAGE_HOURS) - 1) * HOUR_US
        stored = await self._store.usage(project, since_us)
        latest = await self._use.hours(found.namespace, _day_back(now_us))
        return merged(stored, [each for each in latest if each.hour_us >= since_us])

    async def of_namespace(self, namespace: str) -> Quota:
        return await self._store.of_namespace(namespace)

    async def by_namespace(self, after: str, count: int) -> list[NamespaceLimits]:
        return await self._store.by_namespace(after, count)


class UsageLoop(Loop):
    """Stores the use per hour, as executions are deleted at the end of their retention."""

    interval_ms = 600_000

    def __init__(self, *, store: QuotaStore, use: ProjectUse, clock: Clock) -> None:
        self._store, self._use = store, use
        self._clock = clock

    async def run_once(self) -> int:
        """Store the last day of each project; return the number of projects."""
        begin_us, count, after = _day_back(self._clock.now_us()), 0, ""
        while projects := await self._store.projects(after, PROJECTS_PER_PAGE):
            for project in projects:
                for usage in await self._hours(project.namespace, begin_us):
                    await self._store.set_usage(project.id, usage)
            count, after = count + len(projects), projects[-1].id
        await self._store.delete_usage(USAGE_KEPT_DAYS)
        return count

    async def _hours(self, namespace: str, begin_us: int) -> list[Usage]:
        """Return the use of a namespace; nothing if the search is too broad or not served."""
        try:
            return await self._use.hours(namespace, begin_us)
        except FlowmeshError:
            return []


def merged(stored: list[Usage], latest: list[Usage]) -> list[Usage]:
    """Return the use per hour, newest first, with the greater counts of both."""
    found = {each.hour_us: each for each in stored}
    for each in latest:
        before = found.get(each.hour_us, each)
        found[each.hour_us] = Usage(
            hour_us=each.hour_us,
            started=max(before.started, each.started),
            completed=max(before.completed, each.completed),
            failed=max(before.failed, each.failed),
        )
    return sorted(found.values(), key=lambda each: -each.hour_us)


def _day_back(now_us: int) -> int:
    """Return the begin of the hour 23 hours before this one."""
    return now_us - now_us % HOUR_US - DAY_US + HOUR_US


def check_quota(quota: Quota) -> None:
    """Raise REQUEST_INVALID if a bound of the quota is too large."""
    for name, value in asdict(quota).items():
        if value > QUOTA_MAX:
            raise _wrong(f"quota.{name}", f"{name} is above {QUOTA_MAX:,}; 0 is unlimited")


def check_ceiling(quota: Quota, ceiling: Quota, organization: str) -> None:
    """Raise QUOTA_ABOVE_PARENT if a bound of the quota is above that of the organization."""
    limits = asdict(ceiling)
    for name, value in asdict(quota).items():
        if limits[name] and (not value or value > limits[name]):
            text = (
                f"{name} of the project is at most {limits[name]:,}; a role admin on the"
                f" organization `{organization}` may raise it"
            )
            raise Forbidden("QUOTA_ABOVE_PARENT", text)


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(
        "REQUEST_INVALID", message, violations=(Violation(field, message, "REQUEST_INVALID"),)
    )
