"""Bridges between connectors in memory: order, repeats, refusals, and their files."""

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, cast

import pytest

from flowmesh.connectors import bridges, plugins
from flowmesh.connectors.bridges import Bridge, read_bridges, run_bridges
from flowmesh.connectors.plugins import GROUP, created
from flowmesh.connectors.records import (
    Batch,
    ConnectorError,
    Context,
    Record,
    RecordsRefused,
)

CLIENT = cast("Any", None)
ONE = Batch((Record(b"1", "a"), Record(b"2", "b", id="own")), "p1")
TWO = Batch((Record(b"3", "c"),), "p2")


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages with connectors, one of which does not load; and no pauses."""
    found = [
        EntryPoint("memory", "tests.unit.connectors.memory", GROUP),
        EntryPoint("broken", "tests.unit.connectors.no_such_module", GROUP),
        EntryPoint("empty", "json", GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found)
    monkeypatch.setattr(bridges, "PAUSE_FIRST_S", 0.0)


class Run:
    """A bridge, and what was read and written."""

    def __init__(self, *batches: Batch | Exception, refused: bool = False, **sink: Any) -> None:
        self.log: list[str] = []
        self.written: list[Batch] = []
        self.aside: list[Batch] = []
        self.bridge = Bridge(
            "b",
            {"type": "memory", "batches": list(batches), "log": self.log},
            {"type": "memory", "written": self.written, **sink},
            {"type": "memory", "written": self.aside} if refused else None,
        )

    async def run(self) -> None:
        await run_bridges([self.bridge], CLIENT)

    @property
    def bodies(self) -> list[list[bytes]]:
        return [[each.body for each in batch.records] for batch in self.written]


async def test_batches_are_written_in_order_and_then_acknowledged() -> None:
    """Records without an id have one of their position, so that a repeat is stored once."""
    run = Run(ONE, TWO)
    await run.run()
    assert run.bodies == [[b"1", b"2"], [b"3"]]
    assert [each.id for each in run.written[0].records] == ["b:p1:0", "own"]
    assert run.log == ["read ''", "stored p1", "stored p2", "closed"]


async def test_a_source_that_fails_is_read_again_from_the_stored_position() -> None:
    """Its batches without a position keep their ids."""
    plain = Batch((Record(b"0"),))
    run = Run(plain, ONE, OSError("reset"))
    await run.run()
    assert run.written[0].records[0].id == ""
    assert run.log == [
        *("read ''", "stored ", "stored p1"),
        *("read 'p1'", "stored ", "stored p1", "closed"),
    ]


async def test_a_sink_that_is_away_gets_the_batch_again() -> None:
    """And nothing is acknowledged before."""
    run = Run(ONE, errors=[OSError("away"), TimeoutError("slow")])
    await run.run()
    assert run.bodies == [[b"1", b"2"]]
    assert run.log == ["read ''", "stored p1", "closed"]


async def test_a_refused_record_is_put_aside_with_its_reason() -> None:
    """The position is stored afterwards; the bridge continues."""
    run = Run(ONE, TWO, refused=True, errors=[RecordsRefused({1: "no queue " * 100})])
    await run.run()
    (aside,) = run.aside
    (record,) = aside.records
    assert (record.body, record.headers["bridge-key"]) == (b"2", "b")
    assert len(record.headers["bridge-error"]) == bridges.REASON_CHARS_MAX
    assert [(each.position, len(each.records)) for each in run.written] == [("p1", 0), ("p2", 1)]


async def test_a_refused_record_ends_a_bridge_that_puts_none_aside() -> None:
    """It stays in the source, and both ends are closed."""
    run = Run(ONE, errors=[RecordsRefused({0: "no queue"})])
    with pytest.raises(ConnectorError, match="bridge 'b': no queue"):
        await run.run()
    assert run.log == ["read ''", "closed"]


async def test_a_refused_record_without_a_position_writes_nothing_more() -> None:
    """Its source acknowledges the batch."""
    run = Run(Batch((Record(b"0"),)), refused=True, errors=[RecordsRefused({0: "no"})])
    await run.run()
    assert (len(run.aside), run.written) == (1, [])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"type": "nothing"}, "no connector 'nothing'; installed are broken, empty, flowmesh"),
        ({"type": "broken"}, "the connector 'broken' of .* does not load: No module"),
        ({"type": "empty"}, "b: the connector 'empty' has no source"),
        ({"type": "memory"}, "b: the source 'memory' refuses its options: 'batches'"),
        ({"type": "flowmesh", "queue": 7}, "the option 'queue' must be a str, not 7"),
        ({"type": "flowmesh"}, "the option 'queue' is missing"),
        ({"type": "flowmesh", "quue": "x"}, "there is no option 'quue'; known are queue, group"),
        ({"type": "rabbitmq", "queue": "q", "url": "amqp://[::1"}, "is no address of a server"),
    ],
)
def test_a_wrong_end_is_named(options: dict[str, Any], said: str) -> None:
    """Before anything runs."""
    with pytest.raises(ConnectorError, match=said):
        created("Source", options, Context("b", CLIENT))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bridges: [", "cannot read"),
        ("bridges: {}", "must be a list of 1 to 100 bridges"),
        ("[]", "must be a list of 1 to 100 bridges"),
        ("bridges: [{name: a, source: {}}]", r"bridges\[0\]: a bridge has a name, a source"),
        ("bridges: [{name: a, source: {}, sink: {}, to: {}}]", "may have `refused`"),
        ("bridges: [{name: 1, source: {}, sink: {}}]", "`name` is text"),
        ("bridges: [{name: a, source: {}, sink: {}, refused: 1}]", "are mappings"),
        (
            "bridges: [{name: a, source: {}, sink: {}}, {name: a, source: {}, sink: {}}]",
            "the name 'a' is used twice",
        ),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    """And where."""
    path = tmp_path / "bridges.yaml"
    path.write_text(text)
    with pytest.raises(ConnectorError, match=said):
        read_bridges(path)


def test_a_file_has_bridges(tmp_path: Path) -> None:
    """With or without a place for refused records."""
    path = tmp_path / "bridges.yaml"
    path.write_text(
        "bridges:\n- {name: a, source: {type: x}, sink: {type: y}}\n"
        "- {name: b, source: {type: x}, sink: {type: y}, refused: {type: z}}\n"
    )
    first, second = read_bridges(path)
    assert (first.name, first.source, first.refused) == ("a", {"type": "x"}, None)
    assert second.refused == {"type": "z"}
    with pytest.raises(ConnectorError, match="cannot read"):
        read_bridges(tmp_path / "none")
