"""Bounds of releases of hosted applications."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
import structlog

from flowmesh.apphost import limits
from flowmesh.apphost.apps import check_content, check_name
from flowmesh.apphost.running.checks import Checks
from flowmesh.apphost.running.strangers import Strangers
from flowmesh.apphost.storage.records import Content, Key
from flowmesh.errors import FlowmeshError
from flowmesh.testing.polling import until
from tests.unit.apphost.plugins import module_types


def content(
    document: str = "modules: []",
    files: Mapping[str, bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Content:
    return Content(document=document, files=files or {}, environment=environment or {})


def refusal(given: Content) -> str:
    with pytest.raises(FlowmeshError) as caught:
        check_content(given)
    return caught.value.reason


def test_names_are_bounded() -> None:
    """A name is a label of DNS."""
    check_name("a" * limits.NAME_CHARACTERS_MAX)
    for name in ("", "a" * (limits.NAME_CHARACTERS_MAX + 1), "Shop", "a/b", "-a", "a-", "ä"):
        with pytest.raises(FlowmeshError) as caught:
            check_name(name)
        assert caught.value.reason == "APP_INVALID"


def test_documents_and_files_are_bounded_together() -> None:
    """The last byte fits, and one more does not."""
    half = limits.SOURCE_BYTES_MAX // 2
    check_content(content("x" * half, {"a": bytes(half)}))
    assert refusal(content("x" * half, {"a": bytes(half + 1)})) == "APP_TOO_LARGE"
    assert refusal(content(" ")) == "APP_INVALID"


def test_files_are_bounded() -> None:
    """In number and in the length of their paths."""
    files = {f"f{number}": b"" for number in range(limits.FILES_MAX)}
    check_content(content(files=files))
    assert refusal(content(files={**files, "more": b""})) == "APP_TOO_LARGE"
    check_content(content(files={"a" * limits.PATH_CHARACTERS_MAX: b""}))
    assert refusal(content(files={"a" * (limits.PATH_CHARACTERS_MAX + 1): b""})) == "APP_INVALID"


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a\\b", "a\0b", "app.yaml", "a/"]
)
def test_paths_lead_below_the_release(path: str) -> None:
    """A path names a file of the release and nothing else."""
    assert refusal(content(files={path: b""})) == "APP_INVALID"


def test_variables_are_bounded() -> None:
    """In number, name and size."""
    some = {f"V{number}": "" for number in range(limits.VARIABLES_MAX)}
    check_content(content(environment=some))
    assert refusal(content(environment={**some, "MORE": ""})) == "APP_TOO_LARGE"
    check_content(content(environment={"A": "x" * limits.VARIABLE_BYTES_MAX}))
    large = {"A": "x" * (limits.VARIABLE_BYTES_MAX + 1)}
    assert refusal(content(environment=large)) == "APP_TOO_LARGE"
    assert refusal(content(environment={"a b": ""})) == "APP_INVALID"


def strangers(folder: Path) -> Strangers:
    async def gateways() -> list[str]:
        return []

    return Strangers(
        isolation="none",
        egress="open",
        allowed=(),
        gateways=gateways,
        data_dir=folder,
        log=structlog.get_logger(),
    )


def checks_in(folder: Path) -> Checks:
    async def suite(_key: Key) -> Mapping[str, str]:
        return {}

    return Checks(
        data_dir=folder,
        suite=suite,
        strangers=strangers(folder),
        module_types=module_types({}),
    )


async def test_checks_of_documents_are_bounded(tmp_path: Path) -> None:
    """One more than may wait is refused at once."""
    key = ("default", "app")
    checks = checks_in(tmp_path)
    waiting = [
        asyncio.create_task(checks.check(key, content())) for _ in range(limits.CHECKS_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(FlowmeshError) as caught:
        await checks.check(key, content())
    assert caught.value.reason == "OVERLOADED"
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither one that is cancelled while it writes, nor one of a host that was killed."""
    root = tmp_path / "checks"
    (root / "left" / "releases").mkdir(parents=True)
    checks = checks_in(tmp_path)
    await checks.clear()
    assert not root.exists()
    large = content(files={f"{number}.txt": b"x" for number in range(5_000)})
    task = asyncio.create_task(checks.check(("default", "shop"), large))

    async def writes() -> bool:
        return any(root.glob("*/releases/1/*"))

    await until("a written file", writes, within_s=20)
    assert not list(root.glob("*/releases/1/app.yaml"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert not list(root.iterdir())
