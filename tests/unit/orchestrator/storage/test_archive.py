"""The archive: complete documents despite concurrent writers and interrupted writes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from flowmesh.access.encryption import MARK, DataKey, DataKeys
from flowmesh.errors import Unavailable, WrongState
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.storage import archive as module
from flowmesh.orchestrator.storage.archive import Archive, ArchiveInput, Vanished
from flowmesh.orchestrator.storage.archive_files import FolderFiles

NOW_US = 1_790_000_000_000_000
COUNT = 30
_MADE = ExecutionIds(5)
IDS = [_MADE.make(NOW_US + number * 1_000, 1) for number in range(COUNT)]


def filed(execution_id: str, workflow: str = "w") -> ArchiveInput:
    summary = {"executionId": execution_id, "workflow": workflow, "startedAtUs": NOW_US}
    return ArchiveInput(summary, lines(execution_id))


def lines(execution_id: str) -> Iterator[bytes]:
    yield orjson.dumps({"kind": "execution", "executionId": execution_id}) + b"\n"
    yield b"x" * 5_000 + b"\n"


def document(archive: Archive, execution_id: str) -> bytes | None:
    found = archive.find("n", execution_id)
    return b"".join(found) if found is not None else None


def everything(_entry: dict[str, Any]) -> bool:
    return True


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(FolderFiles(tmp_path))
    made.write("n", NOW_US, IDS, map(filed, IDS))
    return made


def test_concurrent_deletions_delete_exactly_their_executions(
    archive: Archive, tmp_path: Path
) -> None:
    """A file is written anew for each; none of them takes another one's deletion back."""
    gone = IDS[::2]
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda one: archive.replace("n", one, lambda _: None), gone))
    for execution_id in IDS:
        expected = None if execution_id in gone else b"".join(lines(execution_id))
        assert document(archive, execution_id) == expected
    assert len(list(tmp_path.rglob("*.jsonl.gz*"))) == 1


def test_concurrent_archiving_of_one_execution_leaves_one_file(tmp_path: Path) -> None:
    """Every orchestrator does the housekeeping when it starts."""
    archive = Archive(FolderFiles(tmp_path))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: archive.write("n", NOW_US, IDS, map(filed, IDS)), range(16)))
    assert all(document(archive, one) == b"".join(lines(one)) for one in IDS)
    assert len(list(tmp_path.rglob("*.jsonl.gz*"))) == 1


def test_a_file_counts_from_the_moment_its_index_names_it(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before that, all is as it was; the next change clears up."""
    rename = Path.rename

    def cut_off(path: Path, to: Path) -> Path:
        if path.name.endswith(".index.new"):
            raise OSError("cut off")
        return rename(path, to)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", cut_off)
        with pytest.raises(Unavailable, match="cut off"):
            archive.replace("n", IDS[0], lambda _: [b"other\n"])
    assert document(archive, IDS[0]) == b"".join(lines(IDS[0]))
    assert archive.replace("n", IDS[0], lambda _: [b"other\n"])
    assert document(archive, IDS[0]) == b"other\n"
    assert document(archive, IDS[-1]) == b"".join(lines(IDS[-1]))
    assert len(list(tmp_path.rglob("*.jsonl.gz*"))) == 1


def test_the_last_one_takes_its_file_along(archive: Archive, tmp_path: Path) -> None:
    """Of executions that are all deleted nothing is left, not even an empty file."""
    for execution_id in IDS:
        assert archive.replace("n", execution_id, lambda _: None)
    assert not archive.replace("n", IDS[0], lambda _: None)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


def test_what_vanishes_while_it_is_written_is_left_out(tmp_path: Path) -> None:
    """Its lines are taken back; if nothing is left there is no file."""

    def vanishing(execution_id: str) -> ArchiveInput:
        def cut() -> Iterator[bytes]:
            yield from lines(execution_id)
            raise Vanished

        return ArchiveInput({"executionId": execution_id, "startedAtUs": NOW_US}, cut())

    archive = Archive(FolderFiles(tmp_path))
    archive.write("n", NOW_US, IDS[:3], [filed(IDS[0]), vanishing(IDS[1]), filed(IDS[2])])
    found = [document(archive, one) for one in IDS[:3]]
    assert found == [b"".join(lines(IDS[0])), None, b"".join(lines(IDS[2]))]
    archive.write("n", NOW_US, IDS[5:6], [vanishing(IDS[5])])
    assert document(archive, IDS[5]) is None
    assert len(list(tmp_path.rglob("*.jsonl.gz*"))) == 1


def test_files_of_before_are_read_and_changed(archive: Archive, tmp_path: Path) -> None:
    """Their indexes have no checksums and name no file: it had their name."""
    (file,) = tmp_path.rglob("*.jsonl.gz")
    (index,) = tmp_path.rglob("*.index")
    entries = [orjson.loads(line) for line in index.read_bytes().splitlines()]
    for entry in entries:
        del entry["file"], entry["checksum"]
    index.write_bytes(b"".join(orjson.dumps(entry) + b"\n" for entry in entries))
    file.rename(index.with_suffix(".jsonl.gz"))
    assert document(archive, IDS[1]) == b"".join(lines(IDS[1]))
    assert archive.replace("n", IDS[0], lambda _: None)
    assert document(archive, IDS[1]) == b"".join(lines(IDS[1]))
    assert len(list(tmp_path.rglob("*.jsonl.gz*"))) == 1


def test_what_does_not_fit_is_not_counted(tmp_path: Path) -> None:
    """The bound of a list is that of what fits, not of what was looked at."""
    archive, day_us = Archive(FolderFiles(tmp_path)), 86_400_000_000
    archive.write("n", NOW_US - day_us, IDS[:20], map(filed, IDS[:20]))
    archive.write("n", NOW_US, IDS[20:], (filed(one, "other") for one in IDS[20:]))
    found = archive.summaries("n", 0, 0, 5, lambda entry: entry["workflow"] == "other")
    assert [each["executionId"] for each in found] == IDS[20:25]
    for after_us, before_us in ((-(2**63), 2**63 - 1), (0, 1), (2**63 - 1, 0)):
        assert len(archive.summaries("n", after_us, before_us, COUNT, everything)) in (0, COUNT)


def test_a_document_comes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However well it is packed: none of them is larger than a piece may be."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 1_000)
    archive, whole = Archive(FolderFiles(tmp_path)), b"y" * 50_123
    archive.write("n", NOW_US, IDS[:1], [ArchiveInput({"executionId": IDS[0]}, [whole])])
    found = archive.find("n", IDS[0])
    assert found is not None
    pieces = list(found)
    assert b"".join(pieces) == whole
    assert max(map(len, pieces)) <= 1_000


def test_a_file_that_is_cut_off_is_no_document(archive: Archive, tmp_path: Path) -> None:
    """The error names file and execution; a partial document would look complete."""
    (file,) = tmp_path.rglob("*.jsonl.gz")
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(WrongState, match=f"{file.name} is damaged .*{IDS[-1]}") as raised:
        document(archive, IDS[-1])
    assert raised.value.reason == "ARCHIVE_DAMAGED"


def test_a_file_that_is_missing_is_named(archive: Archive, tmp_path: Path) -> None:
    """The index still has its executions; an unknown id is not found as before."""
    (file,) = tmp_path.rglob("*.jsonl.gz")
    file.unlink()
    with pytest.raises(WrongState, match=f"{file.name} is missing") as raised:
        document(archive, IDS[3])
    assert raised.value.reason == "ARCHIVE_DAMAGED"
    assert document(archive, _MADE.make(NOW_US + 3_500, 1)) is None


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".index"])
def test_a_flipped_bit_is_an_error_or_has_no_effect(
    archive: Archive, tmp_path: Path, suffix: str
) -> None:
    """Of files and indexes; no document is returned with other content."""
    (file,) = tmp_path.rglob(f"*{suffix}")
    content, reasons = file.read_bytes(), list[str]()
    for place in range(0, len(content), max(len(content) // 100, 1)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        for execution_id in (IDS[0], IDS[15], IDS[-1]):
            try:
                found = document(archive, execution_id)
            except WrongState as error:
                reasons.append(error.reason)
            else:
                assert found == b"".join(lines(execution_id))
    assert len(reasons) > 5
    assert set(reasons) == {"ARCHIVE_DAMAGED"}


def test_pages_of_a_list_follow_each_other(tmp_path: Path) -> None:
    """Across days and files, in the order of starts; each execution is on one page."""
    archive, day_us = Archive(FolderFiles(tmp_path)), 86_400_000_000
    for number in (2, 0, 1):
        archive.write("n", NOW_US, IDS[number:20:3], map(filed, IDS[number:20:3]))
    later = [_MADE.make(NOW_US + day_us + number, 1) for number in range(5)]
    archive.write("n", NOW_US + day_us, later, map(filed, later))
    listed: list[str] = []
    while page := archive.summaries("n", 0, 0, 7, everything, listed[-1] if listed else ""):
        assert len(page) <= 7
        listed += [each["executionId"] for each in page]
    assert listed == [*IDS[:20], *later]


def test_members_of_an_encrypted_project_are_sealed(tmp_path: Path) -> None:
    """Also after a rewrite of their file; without the key they do not open."""
    keys = DataKeys((DataKey("n", 1, bytes(32)),))
    archive = Archive(FolderFiles(tmp_path), keys)
    archive.write("n", NOW_US, IDS[:3], map(filed, IDS[:3]))
    assert archive.replace("n", IDS[0], lambda _: None)
    for each in IDS[1:3]:
        assert document(archive, each) == b"".join(lines(each))
    (file,) = tmp_path.rglob("*.jsonl.gz")
    assert file.read_bytes()[4:9] == MARK
    with pytest.raises(WrongState) as raised:
        document(Archive(FolderFiles(tmp_path)), IDS[1])
    assert raised.value.reason == "DATA_UNREADABLE"
    plain = Archive(FolderFiles(tmp_path / "plain"), DataKeys((DataKey("other", 1, bytes(32)),)))
    plain.write("n", NOW_US, IDS[:1], map(filed, IDS[:1]))
    assert document(plain, IDS[0]) == b"".join(lines(IDS[0]))
