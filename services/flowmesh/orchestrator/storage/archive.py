"""The archive: files of executions past their retention, one gzip member for each execution.

    <folder>/ns=<namespace>/<day of start>/<first id>_<last id>.<n>.jsonl.gz  the members
    <folder>/ns=<namespace>/<day of start>/<first id>_<last id>.index         their places

A member is JSON lines: the execution, its plan, its events, the payloads it refers to. Any tool
reads the whole file with gzip, unless the project is encrypted: then the members are sealed in
pieces, as the index states. Members and lines of an index have checksums.

A file is never changed: a new one is written, and is valid from the moment at which the index
names it. Any number of processes may write; functions here block.
"""

import fcntl
import gzip
import heapq
import os
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from flowmesh.access.encryption import NO_KEYS, DataKeys, archive_place
from flowmesh.errors import Unavailable, WrongState
from flowmesh.orchestrator.model.ids import partition_of

FILES = ".jsonl.gz"
INDEXES = ".index"
UNFINISHED = ".new"
UNFINISHED_S = 3_600
"""A file that has not changed for this long was left by a crash: no write takes as long."""

CHUNK_BYTES = 1 << 20
RETRY_MS = 1_000
CHECKSUM = "checksum"
_LENGTH_BYTES = 4
LAST_DAY_S = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())

Summary = dict[str, Any]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate the errors of a file. Raises ARCHIVE_DAMAGED, ARCHIVE_UNAVAILABLE."""
    # Folders of a namespace and of a day, and the file.
    name = "/".join(path.parts[-3:])
    try:
        yield
    except (zlib.error, EOFError, orjson.JSONDecodeError) as error:
        raise _damaged(f"{name} is damaged ({error})") from error
    except FileNotFoundError as error:
        raise _damaged(f"{name} is missing") from error
    except OSError as error:
        text = f"the archive is not available at {name}: {error.strerror}"
        raise Unavailable("ARCHIVE_UNAVAILABLE", text, retry_after_ms=RETRY_MS) from error


def _damaged(problem: str) -> WrongState:
    text = f"{problem} in the archive; restore the file from a backup of FLOWMESH_ARCHIVE_DIR"
    return WrongState("ARCHIVE_DAMAGED", text)


@dataclass(frozen=True, slots=True)
class ArchiveInput:
    """An execution to be archived: its entry in the index, and its lines."""

    summary: Summary
    lines: Iterable[bytes]


class Vanished(Exception):
    """Raised by lines if their execution is deleted meanwhile; it is left out."""


class _File:
    """A file that is being written: its members one after the other."""

    def __init__(self, name: str, file: BinaryIO, namespace: str, keys: DataKeys) -> None:
        self.name = name
        self._file = file
        self._namespace = namespace
        self._keys = keys
        self.index: list[Summary] = []

    def pack(self, filed: ArchiveInput) -> None:
        begin, summary = self._file.tell(), filed.summary
        sealed = None
        if self._keys.covers(self._namespace):
            sealed = _Sealed(self._file, self._keys, self._namespace, summary["executionId"])
        target = cast(BinaryIO, sealed or self._file)
        try:
            with gzip.GzipFile(filename="", mode="wb", fileobj=target) as packed:
                for line in filed.lines:
                    packed.write(line)
        except Vanished:
            self._file.seek(begin)
            self._file.truncate()
            return
        if sealed is not None:
            sealed.close()
        self._listed({**summary, "sealed": sealed is not None}, begin)

    def copy(self, entry: Summary, source: BinaryIO) -> None:
        """Copy a member of another file."""
        begin = self._file.tell()
        for chunk in _chunks(source, entry):
            self._file.write(chunk)
        self._listed(entry, begin)

    def sync(self) -> None:
        """Return when the whole file is on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def _listed(self, summary: Summary, begin: int) -> None:
        place = {"file": self.name, "offset": begin, "length": self._file.tell() - begin}
        self.index.append({**summary, **place})


class _Sealed:
    """A file that seals what is written to it in pieces, each after its length."""

    def __init__(self, file: BinaryIO, keys: DataKeys, namespace: str, execution_id: str) -> None:
        self._file = file
        self._keys = keys
        self._namespace = namespace
        self._execution_id = execution_id
        self._waiting = bytearray()
        self._number = 0

    def write(self, data: bytes) -> int:
        self._waiting += data
        if len(self._waiting) >= CHUNK_BYTES:
            self.close()
        return len(data)

    def flush(self) -> None:
        """Do nothing: `close` writes the last piece."""

    def close(self) -> None:
        place = archive_place(self._execution_id, self._number)
        piece = self._keys.seal(self._namespace, bytes(self._waiting), place)
        self._file.write(len(piece).to_bytes(_LENGTH_BYTES, "big") + piece)
        self._waiting.clear()
        self._number += 1


class Archive:
    """The files below one folder."""

    def __init__(self, folder: Path, keys: DataKeys = NO_KEYS) -> None:
        self._folder = folder
        self._keys = keys

    def write(
        self, namespace: str, started_at_us: int, ids: Iterable[str], filed: Iterable[ArchiveInput]
    ) -> None:
        """Write a file of executions that were started on the same day; return when it is on disk.

        `ids` are the executions it may contain; those that have vanished are left out.
        """
        folder = self._folder / f"ns={namespace}" / _day_of(started_at_us)
        folder.mkdir(parents=True, exist_ok=True)
        first, *others = sorted(ids)
        stem = folder / f"{first}_{others[-1] if others else first}"
        with self._written(stem, namespace) as (path, file):
            for each in filed:
                file.pack(each)
            if file.index:
                with self._locked(fcntl.LOCK_EX):
                    _name(stem, path, file)

    def find(self, namespace: str, execution_id: str) -> Iterator[bytes] | None:
        """Return the document of an execution in pieces of up to 1 MiB; None if there is none.

        The pieces are those of the document at the time of the call.
        """
        if not self._folder.is_dir():
            return None
        with self._locked(fcntl.LOCK_SH):
            for stem, entry in self._entries(namespace, execution_id):
                path = _file_of(stem, entry)
                with reading(path):
                    return _document(path.open("rb"), entry, self._keys)
        return None

    def summaries(
        self,
        namespace: str,
        after_us: int,
        before_us: int,
        most: int,
        fits: Callable[[Summary], bool],
        after_id: str = "",
    ) -> list[Summary]:
        """Return the index entries of executions started in a span of time, oldest first.

        They are the first ones behind `after_id`, at most `most`.
        """
        found: dict[str, Summary] = {}
        home = self._folder / f"ns={namespace}"
        days = sorted(home.iterdir()) if home.is_dir() else []
        first, last = _day_of(after_us), _day_of(before_us) if before_us else "9999-12-31"
        for day in days:
            if not first <= day.name <= last:
                continue
            with self._locked(fcntl.LOCK_SH):
                entries = (
                    entry
                    for index in day.glob(f"*{INDEXES}")
                    if index.name.removesuffix(INDEXES).partition("_")[2] > after_id
                    for entry in _read_index(index)
                    if entry["executionId"] > after_id
                    and entry["startedAtUs"] > after_us
                    and (not before_us or entry["startedAtUs"] < before_us)
                    and fits(entry)
                )
                # An execution is in two files if a crash came between archiving and deletion.
                for entry in heapq.nsmallest(2 * most, entries, key=_id_of):
                    found[entry["executionId"]] = entry
            if len(found) >= most:
                break
        return sorted(found.values(), key=_id_of)[:most]

    def replace(
        self,
        namespace: str,
        execution_id: str,
        change: Callable[[Iterator[bytes]], Iterable[bytes] | None],
    ) -> bool:
        """Rewrite the files that contain an execution; leave it out if `change` returns None.

        `change` gets the document in pieces and returns lines.
        """
        if not self._folder.is_dir():
            return False
        with self._locked(fcntl.LOCK_EX):
            held = list(self._entries(namespace, execution_id))
            for stem, _ in held:
                self._replace(stem, namespace, execution_id, change)
        return bool(held)

    def _replace(
        self,
        stem: Path,
        namespace: str,
        execution_id: str,
        change: Callable[[Iterator[bytes]], Iterable[bytes] | None],
    ) -> None:
        with self._written(stem, namespace) as (path, file):
            for entry in _read_index(_index_of(stem)):
                member = _file_of(stem, entry)
                with reading(member), member.open("rb") as source:
                    if entry["executionId"] != execution_id:
                        file.copy(entry, source)
                        continue
                    changed = change(_unpacked(source, entry, self._keys))
                    if changed is not None:
                        file.pack(ArchiveInput(entry, changed))
            _name(stem, path, file)

    def _entries(self, namespace: str, execution_id: str) -> Iterator[tuple[Path, Summary]]:
        """Return the places of an execution; two if a crash came between archiving and deletion."""
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

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Lock exclusively, or shared among readers: among threads and processes."""
        with (self._folder / "lock").open("ab") as file:
            fcntl.flock(file, how)
            yield

    @contextmanager
    def _written(self, stem: Path, namespace: str) -> Iterator[tuple[Path, _File]]:
        """Create a file beside the existing ones; remove it unless it is published."""
        name = f"{stem.name}.{secrets.token_hex(4)}{FILES}"
        path = stem.with_name(name + UNFINISHED)
        try:
            with path.open("wb") as file:
                yield path, _File(name, file, namespace, self._keys)
        finally:
            path.unlink(missing_ok=True)


def _name(stem: Path, path: Path, file: _File) -> None:
    """Replace the index atomically by one that names a new file; remove the former files then."""
    if file.index:
        file.sync()
        listing = stem.with_name(stem.name + INDEXES + UNFINISHED)
        with listing.open("wb") as lines:
            lines.writelines(map(_index_line, file.index))
            lines.flush()
            os.fsync(lines.fileno())
        path.rename(stem.with_name(file.name))
        listing.rename(_index_of(stem))
    else:
        _index_of(stem).unlink()
    _sync_folder(stem.parent)
    stem.with_name(stem.name + FILES).unlink(missing_ok=True)
    for former in stem.parent.glob(f"{stem.name}.*{FILES}*"):
        unfinished = former.name.endswith(UNFINISHED)
        if former.name != file.name and not (unfinished and _is_young(former)):
            former.unlink(missing_ok=True)
    _sync_folder(stem.parent)


def _id_of(entry: Summary) -> str:
    return str(entry["executionId"])


def _is_young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < UNFINISHED_S
    except FileNotFoundError:
        return True


def _index_of(stem: Path) -> Path:
    return stem.with_name(stem.name + INDEXES)


def _file_of(stem: Path, entry: Summary) -> Path:
    """Return the file of an entry; older indexes had one file, with the name of the index."""
    return stem.with_name(entry.get("file") or stem.name + FILES)


def _document(file: BinaryIO, entry: Summary, keys: DataKeys) -> Iterator[bytes]:
    with reading(Path(file.name)), file:
        yield from _unpacked(file, entry, keys)


def _chunks(file: BinaryIO, entry: Summary) -> Iterator[bytes]:
    """A member of a file."""
    file.seek(entry["offset"])
    left = entry["length"]
    while left and (chunk := file.read(min(left, CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk


def _pieces(file: BinaryIO, entry: Summary, keys: DataKeys) -> Iterator[bytes]:
    """Yield the opened pieces of a sealed member. Raises DATA_UNREADABLE."""
    file.seek(entry["offset"])
    end, number = entry["offset"] + entry["length"], 0
    while file.tell() < end:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
        yield keys.open(file.read(length), archive_place(entry["executionId"], number))
        number += 1


def _unpacked(file: BinaryIO, entry: Summary, keys: DataKeys) -> Iterator[bytes]:
    """Yield the document of a member in pieces of up to 1 MiB."""
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    sealed = entry.get("sealed", False)
    for chunk in _pieces(file, entry, keys) if sealed else _chunks(file, entry):
        while chunk:
            if piece := unpack.decompress(chunk, CHUNK_BYTES):
                yield piece
            chunk = unpack.unconsumed_tail
    if piece := unpack.flush():
        yield piece
    if not unpack.eof:
        raise EOFError(f"it ends within {entry['executionId']}")


def _day_of(at_us: int) -> str:
    at_s = min(max(at_us // 1_000_000, 0), LAST_DAY_S)
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")


def _read_index(path: Path) -> Iterator[Summary]:
    with reading(path), path.open("rb") as file:
        for line in file:
            entry = orjson.loads(line)
            # Indexes from before have no checksum.
            checksum = entry.pop(CHECKSUM, None)
            if checksum not in (None, zlib.crc32(orjson.dumps(entry))):
                raise EOFError("the checksum of a line differs")
            yield entry


def _index_line(entry: Summary) -> bytes:
    return orjson.dumps({**entry, CHECKSUM: zlib.crc32(orjson.dumps(entry))}) + b"\n"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
