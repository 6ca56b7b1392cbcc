"""`flowmesh files`, `quota` and `usage` against a closed suite."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.features.closed import Caller, Closed, closed_suite
from tests.features.commands import Outcome, command

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("projects")) as made:
        yield made


async def run(caller: Caller, *tokens: str) -> Outcome:
    return await command(caller.suite, *tokens, environment={"FLOWMESH_API_KEY": caller.credential})


async def document(caller: Caller, *tokens: str) -> Any:
    done = await run(caller, *tokens, "--json")
    assert done.code == 0, done.err
    return orjson.loads(done.out)


async def admin_of(closed: Closed, slug: str) -> tuple[Caller, tuple[str, str]]:
    """Return the caller of a key of a new project, and the option that names the project."""
    project = await closed.project(slug)
    return await closed.key(project.id, "admin"), ("--project", project.id)


@pytest.mark.feature("S1-119")
async def test_files_are_put_listed_got_and_removed(closed: Closed, tmp_path: Path) -> None:
    """A complete file appears under its name; hostile and missing paths are errors."""
    admin, project = await admin_of(closed, "cli-files")
    source, target = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_bytes(bytes(range(256)) * 4_096)
    stored = await document(admin, "files", "put", str(source), "in/a.csv", *project)
    assert (stored["path"], stored["version"], stored["mediaType"]) == ("in/a.csv", 1, "text/csv")
    assert (await run(admin, "files", "put", str(source), "in/a.csv", *project)).code == 0
    listed = await document(admin, "files", "list", "in/", *project)
    assert [(each["path"], each["version"]) for each in listed] == [("in/a.csv", 2)]
    got = await run(admin, "files", "get", "in/a.csv", str(target), *project)
    assert (got.code, target.read_bytes()) == (0, source.read_bytes())
    refused = await run(admin, "files", "put", str(source), "../a.csv", *project)
    assert (refused.code, "FILE_PATH_INVALID" in refused.err) == (1, True)
    assert (await run(admin, "files", "rm", "in/a.csv", *project)).code == 0
    missing = await run(admin, "files", "get", "in/a.csv", str(tmp_path / "c"), *project)
    assert (missing.code, "FILE_NOT_FOUND" in missing.err) == (1, True)
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "b.csv"]  # noqa: PTH208


@pytest.mark.feature("S1-110")
async def test_a_quota_is_set_and_shown_with_its_use(closed: Closed) -> None:
    """Bounds that are not given stay; usage is listed per hour."""
    admin, project = await admin_of(closed, "cli-quota")
    assert (await run(admin, "quota", "set", "--api-keys", "5", *project)).code == 0
    shown = await document(admin, "quota", "set", "--file-bytes", "1000", *project)
    assert (shown["quota"]["apiKeys"], shown["quota"]["fileBytes"]) == (5, 1_000)
    assert shown["used"]["apiKeys"] == 1
    table = await run(admin, "quota", "show", *project)
    assert [line.split() for line in table.lines if line.startswith("api keys")] == [
        ["api", "keys", "1", "5", "unlimited"]
    ]
    assert await document(admin, "usage", *project) == []
