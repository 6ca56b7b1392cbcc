"""The archive: files of executions past their retention, one gzip member for each execution.

    ns=<namespace>/<day of start>/<first id>_<last id>.<n>.jsonl.gz  the members
    ns=<namespace>/<day of start>/<first id>_<last id>.index         their places

A member is JSON lines: the execution, its plan, its events, the payloads it refers to. Any tool
reads the whole file with gzip, unless the project is encrypted: then the members are sealed in
pieces, as the index states. Members and lines of an index have checksums.

A file is never changed: a new one is written, and is valid from the moment at which the index
names it. Any number of processes may write; functions here block.
"""

import gzip
import heapq
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import orjson

from flowmesh.access.encryption import NO_KEYS, DataKeys, archive_place
from flowmesh.errors import Unavailable, WrongState
from flowmesh.orchestrator.model.ids import made_at_us_of, partition_of
from flowmesh.orchestrator.storage.archive_files import ArchiveFiles
from flowmesh.orchestrator.storage.batch import DAY_US

FILES = ".jsonl.gz"
INDEXES = ".index"
CHUNK_BYTES = 1 << 20
RETRY_MS = 1_000
CHECKSUM = "checksum"
_LENGTH_BYTES = 4
STARTED_WITHIN_DAYS = 7
"""The start of an execution is recorded at most so long after its id was made."""

LAST_DAY_S = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())

Summary = dict[str, Any]


@contextmanager
def reading(key: str) -> Iterator[None]:
    """Translate the errors of a file. Raises ARCHIVE_DAMAGED, ARCHIVE_UNAVAILABLE."""
    try:
        yield
    except (zlib.error, EOFError, orjson.JSONDecodeError) as error:
        raise _damaged(f"{key} is damaged ({error})") from error
    except FileNotFoundError as error:
        raise _damaged(f"{key} is missing") from error
    except OSError as error:
        text = f"the archive is not available at {key}: {error.strerror or error}"
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

    def __init__(self, key: str, file: BinaryIO, namespace: str, keys: DataKeys) -> None:
        self.key, self.name = key, key.rpartition("/")[2]
        self.file = file
        self._namespace = namespace
        self._keys = keys
        self.index: list[Summary] = []

    def pack(self, filed: ArchiveInput) -> None:
        begin, summary = self.file.tell(), filed.summary
        sealed = None
        if self._keys.covers(self._namespace):
            sealed = _Sealed(self.file, self._keys, self._namespace, summary["executionId"])
        target = cast(BinaryIO, sealed or self.file)
        try:
            with gzip.GzipFile(filename="", mode="wb", fileobj=target) as packed:
                for line in filed.lines:
                    packed.write(line)
        except Vanished:
            self.file.seek(begin)
            self.file.truncate()
            return
        if sealed is not None:
            sealed.close()
        self._listed({**summary, "sealed": sealed is not None}, begin)

    def copy(self, entry: Summary, source: BinaryIO) -> None:
        """Copy a member of another file."""
        begin = self.file.tell()
        for chunk in _chunks(source, entry):
            self.file.write(chunk)
        self._listed(entry, begin)

    def _listed(self, summary: Summary, begin: int) -> None:
        place = {"file": self.name, "offset": begin, "length": self.file.tell() - begin}
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
    """The archived executions in a folder or in a bucket."""

    def __init__(self, files: ArchiveFiles, keys: DataKeys = NO_KEYS) -> None:
        self._files = files
        self._keys = keys

    def write(
        self, namespace: str, started_at_us: int, ids: Iterable[str], filed: Iterable[ArchiveInput]
    ) -> None:
        """Write a file of executions that were started on the same day; return when it is durable.

        `ids` are the executions it may contain; those that have vanished are left out.
        Raises OSError if it cannot be written.
        """
        first, *others = sorted(ids)
        folder = f"{_home_of(namespace)}/{_day_of(started_at_us)}"
        stem = f"{folder}/{first}_{others[-1] if others else first}"
        with self._written(stem, namespace) as file:
            for each in filed:
                file.pack(each)
            if file.index:
                with self._files.locked(exclusive=True):
                    self._publish(stem, file)

    def find(self, namespace: str, execution_id: str) -> Iterator[bytes] | None:
        """Return the document of an execution in pieces of up to 1 MiB; None if there is none.

        The pieces are those of the document at the time of the call.
        Raises ARCHIVE_DAMAGED, ARCHIVE_UNAVAILABLE.
        """
        with reading(_home_of(namespace)), self._files.locked(exclusive=False):
            try:
                return self._find(namespace, execution_id)
            except WrongState:
                # Readers of a bucket have no lock: a file may be replaced after its index was read.
                return self._find(namespace, execution_id)

    def _find(self, namespace: str, execution_id: str) -> Iterator[bytes] | None:
        for stem, entry in self._entries(namespace, execution_id):
            key = _file_of(stem, entry)
            with reading(key):
                file = self._files.read(key, entry["offset"], entry["length"])
                return _document(key, file, entry, self._keys)
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
        Raises ARCHIVE_DAMAGED, ARCHIVE_UNAVAILABLE.
        """

        def listed(entry: Summary) -> bool:
            return (
                entry["executionId"] > after_id
                and entry["startedAtUs"] > after_us
                and (not before_us or entry["startedAtUs"] < before_us)
                and fits(entry)
            )

        found: list[Summary] = []
        home = _home_of(namespace)
        first, last = _day_of(after_us), _day_of(before_us) if before_us else "9999-12-31"
        with reading(home):
            for day in self._files.names(home):
                if first <= day <= last:
                    found += self._first_of_day(f"{home}/{day}", most, listed, after_id)
                if len(found) >= most:
                    break
        return sorted(found, key=_id_of)[:most]

    def _first_of_day(
        self, folder: str, most: int, listed: Callable[[Summary], bool], after_id: str
    ) -> list[Summary]:
        """Return the first entries of a day, at most `most`, from as few indexes as possible."""
        found: dict[str, Summary] = {}
        with self._files.locked(exclusive=False):
            for stem in self._stems(folder):
                begin, _, end = _ids_of(stem)
                if end <= after_id:
                    continue
                # Stems are in the order of their first ids.
                if len(found) == most and max(found) < begin:
                    break
                # An execution is in two files if a crash came between archiving and deletion.
                found |= {_id_of(each): each for each in self._index(stem) if listed(each)}
                kept = heapq.nsmallest(most, found)
                found = {each: found[each] for each in kept}
        return list(found.values())

    def replace(
        self,
        namespace: str,
        execution_id: str,
        change: Callable[[Iterator[bytes]], Iterable[bytes] | None],
    ) -> bool:
        """Rewrite the files that contain an execution; leave it out if `change` returns None.

        `change` gets the document in pieces and returns lines.
        Raises ARCHIVE_DAMAGED, ARCHIVE_UNAVAILABLE.
        """
        with reading(_home_of(namespace)), self._files.locked(exclusive=True):
            held = [stem for stem, _ in self._entries(namespace, execution_id)]
            for stem in held:
                self._replace(stem, namespace, execution_id, change)
        return bool(held)

    def _replace(
        self,
        stem: str,
        namespace: str,
        execution_id: str,
        change: Callable[[Iterator[bytes]], Iterable[bytes] | None],
    ) -> None:
        with self._written(stem, namespace) as file, ExitStack() as stack:
            sources: dict[str, BinaryIO] = {}
            for entry in self._index(stem):
                key = _file_of(stem, entry)
                with reading(key):
                    if key not in sources:
                        sources[key] = stack.enter_context(self._files.read(key))
                    source = sources[key]
                    source.seek(entry["offset"])
                    if entry["executionId"] != execution_id:
                        file.copy(entry, source)
                        continue
                    changed = change(_unpacked(source, entry, self._keys))
                    if changed is not None:
                        file.pack(ArchiveInput(entry, changed))
            self._publish(stem, file)

    def _entries(self, namespace: str, execution_id: str) -> Iterator[tuple[str, Summary]]:
        """Return the places of an execution; two if a crash came between archiving and deletion."""
        if partition_of(execution_id) is None:
            return
        home, made_at_us = _home_of(namespace), made_at_us_of(execution_id)
        first = _day_of(made_at_us - DAY_US)
        last = _day_of(made_at_us + STARTED_WITHIN_DAYS * DAY_US)
        for day in self._files.names(home):
            if not first <= day <= last:
                continue
            for stem in self._stems(f"{home}/{day}"):
                begin, _, end = _ids_of(stem)
                if begin <= execution_id <= end:
                    for entry in self._index(stem):
                        if entry["executionId"] == execution_id:
                            yield stem, entry

    def _stems(self, folder: str) -> Iterator[str]:
        """Return the keys of indexes in a folder, without their suffix, in order."""
        for name in self._files.names(folder):
            if name.endswith(INDEXES):
                yield f"{folder}/{name.removesuffix(INDEXES)}"

    def _index(self, stem: str) -> Iterator[Summary]:
        key = stem + INDEXES
        with reading(key), self._files.read(key) as file:
            for line in file:
                entry = orjson.loads(line)
                # Indexes from before have no checksum.
                checksum = entry.pop(CHECKSUM, None)
                if checksum not in (None, zlib.crc32(orjson.dumps(entry))):
                    raise EOFError("the checksum of a line differs")
                yield entry

    @contextmanager
    def _written(self, stem: str, namespace: str) -> Iterator[_File]:
        """Create a file beside the existing ones; remove it unless it is published."""
        key = f"{stem}.{secrets.token_hex(4)}{FILES}"
        with self._files.draft(key) as file:
            yield _File(key, file, namespace, self._keys)

    def _publish(self, stem: str, file: _File) -> None:
        """Replace the index by one that names a new file; remove the former files then."""
        folder, _, name = stem.rpartition("/")
        if file.index:
            self._files.publish(file.file, file.key)
            with self._files.draft(stem + INDEXES) as lines:
                lines.writelines(map(_index_line, file.index))
                self._files.publish(lines, stem + INDEXES)
        else:
            self._files.delete(folder, [name + INDEXES])
        former = [
            each
            for each in self._files.names(folder)
            if each.startswith(f"{name}.") and FILES in each and each != file.name
        ]
        self._files.delete(folder, former)


def _home_of(namespace: str) -> str:
    return f"ns={namespace}"


def _ids_of(stem: str) -> tuple[str, str, str]:
    """Return the first and the last id of a file, with what is between."""
    return stem.rpartition("/")[2].partition("_")


def _id_of(entry: Summary) -> str:
    return str(entry["executionId"])


def _file_of(stem: str, entry: Summary) -> str:
    """Return the file of an entry; older indexes had one file, with the name of the index."""
    folder, _, name = stem.rpartition("/")
    return f"{folder}/{entry.get('file') or name + FILES}"


def _document(key: str, file: BinaryIO, entry: Summary, keys: DataKeys) -> Iterator[bytes]:
    with reading(key), file:
        yield from _unpacked(file, entry, keys)


def _chunks(file: BinaryIO, entry: Summary) -> Iterator[bytes]:
    """Yield a member of a file that is open at its place."""
    left = entry["length"]
    while left and (chunk := file.read(min(left, CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk


def _pieces(file: BinaryIO, entry: Summary, keys: DataKeys) -> Iterator[bytes]:
    """Yield the opened pieces of a sealed member. Raises DATA_UNREADABLE."""
    left, number = entry["length"], 0
    while left > 0:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
        yield keys.open(file.read(length), archive_place(entry["executionId"], number))
        left, number = left - _LENGTH_BYTES - length, number + 1


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


def _index_line(entry: Summary) -> bytes:
    return orjson.dumps({**entry, CHECKSUM: zlib.crc32(orjson.dumps(entry))}) + b"\n"
