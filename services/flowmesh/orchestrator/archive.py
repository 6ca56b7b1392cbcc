"""The archive: files of executions that are past their retention, each whole and for itself.

    <folder>/ns=<namespace>/<day of start>/<first id>_<last id>.jsonl.gz   a member per execution
    <folder>/ns=<namespace>/<day of start>/<first id>_<last id>.index      where each member is

A member is JSON lines: the execution, its plan, its events, the payloads it refers to. Any tool
reads the whole file with gzip. Written once under another name and renamed; functions here block.
"""

import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from flowmesh.orchestrator.ids import partition_of

FILES = ".jsonl.gz"
INDEXES = ".index"
Lines = Iterable[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Filed:
    """One execution on its way into the archive: what the index says of it, and its lines."""

    summary: dict[str, Any]
    lines: Lines


class Archive:
    """The files below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, namespace: str, started_at_us: int, filed: list[Filed]) -> None:
        """One file of executions that were started on the same day; on disk when it returns."""
        folder = self._day(namespace, started_at_us)
        folder.mkdir(parents=True, exist_ok=True)
        ids = sorted(each.summary["executionId"] for each in filed)
        self._put(folder / f"{ids[0]}_{ids[-1]}", filed)

    def find(self, namespace: str, execution_id: str) -> bytes | None:
        """The document of an execution; None where there is none."""
        for stem, entry in self._entries(namespace, execution_id):
            with stem.with_name(stem.name + FILES).open("rb") as file:
                file.seek(entry["offset"])
                return gzip.decompress(file.read(entry["length"]))
        return None

    def summaries(
        self, namespace: str, after_us: int, before_us: int, most: int
    ) -> list[dict[str, Any]]:
        """What the indexes say of executions started in a span of time, oldest first."""
        found: dict[str, dict[str, Any]] = {}
        home = self._folder / f"ns={namespace}"
        days = sorted(home.iterdir()) if home.is_dir() else []
        first, last = _day_of(after_us), _day_of(before_us) if before_us else "9999-12-31"
        for day in days:
            if not first <= day.name <= last:
                continue
            for index in sorted(day.glob(f"*{INDEXES}")):
                for entry in _read_index(index):
                    started = entry["startedAtUs"]
                    if started > after_us and (not before_us or started < before_us):
                        found[entry["executionId"]] = entry
            if len(found) > most:
                break
        return sorted(found.values(), key=lambda each: str(each["executionId"]))

    def replace(
        self, namespace: str, execution_id: str, change: Callable[[bytes], bytes | None]
    ) -> bool:
        """Writes the files that hold an execution anew; without it where `change` gives None."""
        changed = False
        for stem, _ in list(self._entries(namespace, execution_id)):
            path = stem.with_name(stem.name + FILES)
            kept: list[tuple[dict[str, Any], bytes]] = []
            with path.open("rb") as file:
                for entry in _read_index(stem.with_name(stem.name + INDEXES)):
                    file.seek(entry["offset"])
                    member: bytes | None = file.read(entry["length"])
                    if entry["executionId"] == execution_id:
                        document = change(gzip.decompress(member or b""))
                        member = gzip.compress(document) if document is not None else None
                    if member is not None:
                        kept.append((entry, member))
            self._put_members(stem, kept)
            changed = True
        return changed

    def _put(self, stem: Path, filed: list[Filed]) -> None:
        members = (
            (each.summary, gzip.compress(b"".join(orjson.dumps(x) + b"\n" for x in each.lines)))
            for each in filed
        )
        self._put_members(stem, members)

    def _put_members(self, stem: Path, members: Iterable[tuple[dict[str, Any], bytes]]) -> None:
        index = []
        new = stem.with_name(stem.name + FILES + ".new")
        with new.open("wb") as file:
            for summary, member in members:
                place = {"offset": file.tell(), "length": len(member)}
                index.append(orjson.dumps({**summary, **place}) + b"\n")
                file.write(member)
            file.flush()
            os.fsync(file.fileno())
        # The index last: a file without one is not looked into.
        listing = stem.with_name(stem.name + INDEXES + ".new")
        with listing.open("wb") as file:
            file.writelines(index)
            file.flush()
            os.fsync(file.fileno())
        new.rename(stem.with_name(stem.name + FILES))
        listing.rename(stem.with_name(stem.name + INDEXES))
        _sync_folder(stem.parent)

    def _entries(self, namespace: str, execution_id: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Where an execution is; twice where a crash came between archive and deletion."""
        if partition_of(execution_id) is None:
            return
        home = self._folder / f"ns={namespace}"
        for day in sorted(home.iterdir()) if home.is_dir() else ():
            for index in sorted(day.glob(f"*{INDEXES}")):
                first, _, last = index.name.removesuffix(INDEXES).partition("_")
                if not first <= execution_id <= last:
                    continue
                stem = index.with_name(index.name.removesuffix(INDEXES))
                for entry in _read_index(index):
                    if entry["executionId"] == execution_id:
                        yield stem, entry

    def _day(self, namespace: str, started_at_us: int) -> Path:
        return self._folder / f"ns={namespace}" / _day_of(started_at_us)


def _day_of(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%d")


def _read_index(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
