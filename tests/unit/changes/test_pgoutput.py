"""Messages of pgoutput as changes, and changes as events."""

from struct import pack

import pytest

from flowmesh.changes import Change, change_event, lsn_number, lsn_text
from flowmesh.changes.pgoutput import EPOCH_US, LEFT, Begin, Commit, Decoder, RowChange
from flowmesh.errors import WrongState

OID = pack(">I", 16_400)


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def relation(identity: bytes = b"d", schema: str = "public") -> bytes:
    """Return the message of a table (id int key, note text)."""
    key = identity == b"d"
    columns = [(b"\1" if key else b"\0", "id", 23), (b"\0", "note", 25)]
    parts = [flag + text(name) + pack(">Ii", oid, -1) for flag, name, oid in columns]
    return b"R" + OID + text(schema) + text("orders") + identity + pack(">h", 2) + b"".join(parts)


def row(*values: str | None) -> bytes:
    """Return a row; `...` stands for a value that the message leaves out."""
    found = pack(">h", len(values))
    for value in values:
        if value is None:
            found += b"n"
        elif value == "...":
            found += b"u"
        else:
            found += b"t" + pack(">i", len(value.encode())) + value.encode()
    return found


def decoded(message: bytes, table: bytes | None = None) -> RowChange:
    decoder = Decoder()
    announced = table or relation()
    assert decoder.decode(announced, len(announced)) is None
    found = decoder.decode(message, len(message))
    assert isinstance(found, RowChange)
    return found


@pytest.mark.parametrize(
    ("message", "operation", "before", "after"),
    [
        (b"I" + OID + b"N" + row("7", "new"), "insert", None, ("7", "new")),
        (b"U" + OID + b"N" + row("7", None), "update", None, ("7", None)),
        (
            b"U" + OID + b"K" + row("6", None) + b"N" + row("7", "..."),
            *("update", ("6", None), ("7", LEFT)),
        ),
        (b"D" + OID + b"K" + row("7", None), "delete", ("7", None), None),
        (b"D" + OID + b"O" + row("7", "old"), "delete", ("7", "old"), None),
    ],
)
def test_rows_are_read_with_their_operation(
    message: bytes, operation: str, before: object, after: object
) -> None:
    """An insert, updates with and without a changed key, and deletes."""
    found = decoded(message)
    assert (found.operation, found.before, found.after) == (operation, before, after)
    assert [(each.name, each.key) for each in found.relation.columns] == [
        ("id", True),
        ("note", False),
    ]


def test_transactions_have_a_position_and_a_time() -> None:
    """Messages without an effect, such as a truncation, are None."""
    decoder = Decoder()
    begin = b"B" + pack(">qqi", 0x1_0000_0020, 5, 731)
    assert decoder.decode(begin, len(begin)) == Begin(0x1_0000_0020, EPOCH_US + 5)
    commit = b"C" + pack(">bqqq", 0, 0x20, 0x30, 5)
    assert decoder.decode(commit, len(commit)) == Commit(0x30)
    assert decoder.decode(b"T", 1) is None


def test_a_cut_message_has_its_size_only() -> None:
    """The reader reads the head of a row above its limit."""
    decoder = Decoder()
    decoder.decode(relation(), len(relation()))
    found = decoder.decode((b"I" + OID + b"N" + row("7", "new"))[:8], 9_000_000)
    assert isinstance(found, RowChange)
    assert (found.cut_bytes, found.before, found.after) == (9_000_000, None, None)


def test_a_message_that_ends_too_early_is_refused() -> None:
    """A row with one of its two values."""
    with pytest.raises(WrongState, match="ends too early"):
        decoded(b"I" + OID + b"N" + row("7", "new")[:-4])


def event(message: bytes, table: bytes | None = None) -> dict[str, object]:
    return dict(
        change_event("shop", Change((0x1_0000_0020, 2), 1_000_000, decoded(message, table)))
    )


@pytest.mark.parametrize(
    ("message", "identity", "subject", "data"),
    [
        (
            b"I" + OID + b"N" + row("7", "new"),
            *(b"d", "7", {"before": None, "after": {"id": 7, "note": "new"}, "unchanged": []}),
        ),
        (
            b"U" + OID + b"K" + row("6", None) + b"N" + row("7", "..."),
            *(b"d", "7", {"before": {"id": 6}, "after": {"id": 7}, "unchanged": ["note"]}),
        ),
        (
            b"U" + OID + b"O" + row("7", "long") + b"N" + row("8", "..."),
            *(b"f", ""),
            {
                "before": {"id": 7, "note": "long"},
                "after": {"id": 8, "note": "long"},
                "unchanged": [],
            },
        ),
        (
            b"D" + OID + b"K" + row("7", None),
            *(b"d", "7", {"before": {"id": 7}, "after": None, "unchanged": []}),
        ),
    ],
)
def test_a_change_is_an_event(
    message: bytes, identity: bytes, subject: str, data: dict[str, object]
) -> None:
    """The key is the subject; large values come from the former row, or are named as unchanged."""
    found = event(message, relation(identity))
    assert found["subject"] == subject
    assert found["id"] == "1/20/2"
    assert found["source"] == "/databases/shop/public.orders"
    content = found["data"]
    assert isinstance(content, dict)
    assert {name: content[name] for name in data} == data


def test_a_table_without_a_schema_is_of_the_catalog() -> None:
    """PostgreSQL leaves the name of its own schema empty."""
    found = decoded(b"I" + OID + b"N" + row("7", "new"), relation(schema=""))
    assert found.relation.schema == "pg_catalog"


@pytest.mark.parametrize("position", ["0/0", "0/16B3748", "1/20", "FFFFFFFF/FFFFFFFF"])
def test_positions_keep_their_text(position: str) -> None:
    """As PostgreSQL writes them."""
    assert lsn_text(lsn_number(position)) == position
