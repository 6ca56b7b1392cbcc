"""The directory of cells in memory: small, quick, and closed to entries that make no sense."""

import base64
from dataclasses import asdict, replace
from pathlib import Path

import orjson
import pytest

from flowmesh.cells import (
    COPYING,
    SWITCH_S,
    SWITCHING,
    Cell,
    Directory,
    Home,
    Move,
    Pin,
    Projects,
    cell_of,
    copy_of,
    entry_of,
    place_of_token,
    read_copy,
    write_copy,
)

KEY = bytes(range(16))
EU = Cell(number=2, name="eu2", region="eu", http="https://eu.example.com", grpc="eu:7450")
MOVE = Move(source=1, target=2, step=SWITCHING, paused=(("report", "nightly", 5),), stopped=("a",))


def moving(**change: object) -> bytes:
    """Return the entry of a project with a part of its move that is wrong."""
    return orjson.dumps({"project": "a", "cell": 1, "move": {**asdict(MOVE), **change}})


def test_a_project_is_found_moved_and_removed() -> None:
    """One that was never named has no home; a removed one has none again."""
    projects = Projects(KEY)
    projects.put("shop", Home(2, strict=True))
    assert projects.get("shop") == Home(2, strict=True)
    projects.put("shop", Home(15))
    assert (projects.get("shop"), projects.get("other")) == (Home(15), None)
    projects.put("shop", None)
    projects.put("never", None)
    assert projects.get("shop") is None


def test_a_namespace_has_one_home() -> None:
    """The control cell's where nothing is said; `default` is of each cell."""
    directory = Directory(own=1)
    directory.add(Pin("shop", Home(2)))
    assert directory.home("shop") == Home(2)
    assert directory.home("other") == Home(0)
    assert directory.home("default") == directory.home("") == Home(1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"number": 16}, "number from 0 to 15"),
        ({"number": True}, "number from 0 to 15"),
        ({"number": "2"}, "number from 0 to 15"),
        ({"name": "EU 2"}, "the name of a cell"),
        ({"region": 7}, "the region of a cell"),
        ({"http": "ftp://eu"}, "the address http of cell eu2"),
        ({"grpc": "eu"}, "the address grpc of cell eu2"),
        ({"grpc": "eu:99999"}, "the address grpc of cell eu2"),
        ({"state": "asleep"}, "the state of a cell"),
        ({"color": "red"}, "malformed"),
    ],
)
def test_bad_cells_are_refused(change: dict[str, object], problem: str) -> None:
    """Each part of an entry is checked, also its type."""
    entry = {**orjson.loads(EU.encoded()), **change}
    with pytest.raises(ValueError, match=problem):
        entry_of(orjson.dumps(entry))


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"[]",
        b"7",
        b'{"project": 5}',
        b'{"project": ""}',
        b'{"project": "a b", "cell": 1}',
        b'{"project": "a", "cell": 99}',
        b'{"project": "a", "cell": 1.5}',
        b'{"project": "a", "cell": 1, "strict": "yes"}',
        b'{"project": "a", "cell": 1, "move": 2}',
        b'{"project": "a", "cell": 1, "move": {"source": 1, "target": 2}}',
        moving(source=1, target=1),
        moving(source=1, target=16),
        moving(source=True, target=2),
        moving(step="resting"),
        moving(paused={}),
        moving(paused=[["w", "t"]]),
        moving(paused=[["w", "t", 1.5]]),
        moving(paused=[["w", "t", 1]] * 1_001),
        moving(stopped="a"),
        moving(stopped=[1]),
        b'{"project": "a", "move": ' + orjson.dumps(MOVE) + b"}",
    ],
)
def test_bad_pins_are_refused(entry: bytes) -> None:
    """A project needs a name and a cell that can exist."""
    with pytest.raises(ValueError):
        entry_of(entry)


def test_entries_are_read_as_written() -> None:
    """Cells, pins and removed pins."""
    pins = Pin("shop", Home(2, strict=True)), Pin("shop", Home(1), MOVE), Pin("shop", None)
    for entry in (EU, *pins):
        assert entry_of(entry.encoded()) == entry


def test_a_copy_serves_after_a_restart(tmp_path: Path) -> None:
    """With its position; a broken or missing one is as none."""
    path = tmp_path / "copy"
    directory = Directory(own=1)
    directory.add(EU)
    for number in range(3_000):
        directory.add(Pin(f"p{number}", Home(number % 3, strict=number % 2 == 0)))
    directory.add(Pin("p7", Home(1), MOVE))
    directory.sequence = 3_001
    write_copy(copy_of(directory), path)
    again = read_copy(1, path)
    assert again is not None
    assert (again.sequence, again.loaded, again.cells) == (3_001, True, {2: EU})
    assert again.moves == {"p7": MOVE}
    assert all(again.home(f"p{n}") == directory.home(f"p{n}") for n in range(3_000))
    path.write_bytes(path.read_bytes()[:-1])
    assert read_copy(1, path) is None
    assert read_copy(1, tmp_path / "none") is None


def test_a_switch_ends_by_itself() -> None:
    """A command that dies refuses the changes of a project for a time only."""
    now = [0.0]
    directory = Directory(own=1, monotonic=lambda: now[0])
    directory.add(Pin("shop", Home(1), replace(MOVE, step=COPYING)))
    assert not directory.is_switched("shop")
    directory.add(Pin("shop", Home(1), MOVE))
    assert directory.is_switched("shop")
    now[0] = SWITCH_S
    assert not directory.is_switched("shop")
    directory.add(Pin("shop", Home(1), MOVE))
    assert directory.is_switched("shop")
    directory.add(Pin("shop", Home(2)))
    assert not directory.is_switched("shop")
    assert directory.moves == {}


def test_only_whole_ids_name_a_cell() -> None:
    """Of executions and bulk operations, also within a path or a token."""
    digits = "0" * 18 + "40"
    assert cell_of(f"/api/v1/executions/exec-{digits}/events") == 2
    assert cell_of(f"exec-{digits}|node|1") == cell_of(f"bulk-{digits}") == 2
    assert cell_of(f"exec-{digits}0") is None
    assert cell_of("exec-" + "u" * 20) is None


def test_tokens_name_a_project_and_a_cell() -> None:
    """Those of waiting nodes and of approval links; any other text names none."""
    digits = "0" * 18 + "40"
    place = f'["shop","exec-{digits}","node"'
    hook = base64.urlsafe_b64encode(bytes(range(16)) + f"{place}]".encode()).decode().rstrip("=")
    content = base64.urlsafe_b64encode(f'{place},1,"ada",0,5]'.encode()).decode().rstrip("=")
    assert place_of_token(hook) == place_of_token(f"1.{content}.signed") == ("shop", 2)
    broken = base64.urlsafe_b64encode(b'["a b","exec-1"]').decode()
    for text in ("", ".", "é", "x" * 10_000, broken, f"exec-{digits}", "1.!!.2"):
        assert place_of_token(text) is None
