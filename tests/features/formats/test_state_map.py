"""The map of state in the documentation is that of a running suite."""

import re
from pathlib import Path

import pytest
import redis.asyncio

from flowmesh.testing.suite import Suite
from tests.features.store import database

PAGE = Path(__file__).resolve().parents[3] / "docs" / "architecture.md"
ROW = re.compile(r"^\| PostgreSQL \| schema `(\w+)` \|", re.MULTILINE)


@pytest.mark.feature("S4-61")
async def test_the_map_of_state_is_that_of_the_suite(suite: Suite) -> None:
    """The page names every schema with tables; Redis keeps nothing on disk."""
    async with database(suite) as connection:
        rows = await connection.fetch(
            "select distinct schemaname from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        )
    assert sorted(ROW.findall(PAGE.read_text())) == sorted(row["schemaname"] for row in rows)
    async with redis.asyncio.from_url(str(suite.about["redis"])) as client:
        assert await client.config_get("save") == {"save": ""}
        assert await client.config_get("appendonly") == {"appendonly": "no"}
