"""Queries of stored templates."""

from typing import Any

import asyncpg

from flowmesh.definition import limits
from flowmesh.definition.storage.records import TemplateUse, TemplateVersion
from flowmesh.definition.storage.rows import page_of, template_of
from flowmesh.definitions import TEMPLATE_LABEL


class TemplateReads:
    """Versions of templates, and counts of the workflows made from them."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", sql: Any) -> None:
        self._pool = pool
        self._sql = sql

    async def version(self, namespace: str, name: str, version: int) -> TemplateVersion | None:
        row = await self._sql.template_version(
            self._pool, namespace=namespace, name=name, version=version
        )
        return template_of(row) if row is not None else None

    async def page(
        self, namespace: str, *, after: str, count: int
    ) -> tuple[list[TemplateVersion], bool]:
        rows = self._sql.templates_page(
            self._pool,
            namespace=namespace,
            after=after,
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        return await page_of(rows, template_of)

    async def usage(self, namespace: str) -> TemplateUse:
        query = self._sql.template_counts(
            self._pool,
            namespace=namespace,
            label=TEMPLATE_LABEL,
            count=limits.TEMPLATES_COUNTED_MAX,
        )
        rows = [row async for row in query]
        if not rows:
            return TemplateUse()
        used = {row["template"]: row["workflows"] for row in rows if row["template"] is not None}
        return TemplateUse(rows[0]["total"], rows[0]["made"], used)
