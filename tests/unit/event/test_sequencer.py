"""Commits are returned in order, each once, for any order of arrival and any gaps."""

import random

import pytest

from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.event.intake import sequencer
from flowmesh.event.intake.sequencer import Gap, Sequencer
from flowmesh.event.live.arrival import Arrival
from flowmesh.event.live.cursors import END


def batch(
    incarnation: int,
    position: int,
    part: int = 0,
    *,
    last: bool = True,
    after: dict[int, int] | None = None,
) -> pb.EventBatch:
    former = [pb.Position(incarnation=i, position=p) for i, p in (after or {}).items()]
    return pb.EventBatch(
        incarnation=incarnation, position=position, part=part, last_part=last, after=former
    )


def arrival(message: pb.EventBatch, stream_sequence: int = 1) -> Arrival:
    return Arrival(message, message.part, message.last_part, stream_sequence, 100)


def keys(arrivals: list[Arrival]) -> list[tuple[int, int, int]]:
    return [(a.batch.incarnation, a.batch.position, a.part) for a in arrivals]


def test_commits_in_order_pass_at_once() -> None:
    """Only incomplete commits are held."""
    line = Sequencer({})
    assert keys(line.offer(arrival(batch(7, 1)))) == [(7, 1, 0)]
    assert keys(line.offer(arrival(batch(7, 2, 0, last=False), 5))) == []
    assert (line.done(7), line.gaps(), line.stream_sequence_held()) == (1, [], 5)
    assert keys(line.offer(arrival(batch(7, 2, 1), 6))) == [(7, 2, 0), (7, 2, 1)]
    assert (line.done(7), line.gaps(), line.waiting) == (2, [], False)


def test_a_commit_whose_rest_was_delivered_is_skipped() -> None:
    """It was delivered by another event service: neither stream nor outbox have its last part."""
    line = Sequencer({})
    line.offer(arrival(batch(7, 1, 0, last=False)))
    line.offer(arrival(batch(7, 3)))
    (gap,) = line.gaps()
    assert gap == Gap(7, 0)
    assert keys(line.filled(gap, [], last_position=3)) == [(7, 3, 0)]
    assert (line.done(7), line.waiting) == (3, False)


def test_the_place_stays_before_commits_of_the_outbox_until_they_are_returned() -> None:
    """If its message precedes or follows the response of the outbox."""
    line = Sequencer({})
    taken = batch(2, 1, after={1: 5, 3: 1})
    line.offer(arrival(taken, 4))
    line.filled(Gap(2, 0), [taken], last_position=1)
    assert line.stream_sequence_held() == 4

    line = Sequencer({})
    line.filled(Gap(2, 0), [taken], last_position=1)
    assert line.stream_sequence_held() is None
    assert line.offer(arrival(taken, 4)) == []
    assert (line.stream_sequence_held(), line.repeated) == (4, 1)


def test_processed_commits_are_dropped() -> None:
    """A position up to the stored one, or a returned part, is not repeated."""
    line = Sequencer({7: 5})
    assert line.offer(arrival(batch(7, 5))) == []
    line.offer(arrival(batch(7, 6, 0, last=False)))
    assert line.offer(arrival(batch(7, 6, 0, last=False))) == []
    assert line.repeated == 2


def test_commits_after_a_gap_are_held_until_the_outbox_fills_it() -> None:
    """Held commits follow the filled ones, in order."""
    line = Sequencer({7: 1})
    assert line.offer(arrival(batch(7, 4))) == []
    (gap,) = line.gaps()
    assert gap == Gap(7, 1)
    ready = line.filled(gap, [batch(7, 2), batch(7, 3), batch(7, 4)], last_position=4)

    assert keys(ready) == [(7, 2, 0), (7, 3, 0), (7, 4, 0)]
    assert (line.gaps(), line.stream_sequence_held()) == ([], None)


def test_an_unknown_incarnation_is_read_from_its_first_position() -> None:
    """Without a stored position the outbox is read from 0."""
    line = Sequencer({})
    line.offer(arrival(batch(9, 3)))
    assert line.gaps() == [Gap(9, 0)]


def test_delivered_and_deleted_positions_are_skipped() -> None:
    """The wait ends if the outbox no longer holds the missing positions."""
    line = Sequencer({})
    line.offer(arrival(batch(9, 30)))
    ready = line.filled(Gap(9, 0), [], last_position=30)

    assert keys(ready) == [(9, 30, 0)]
    assert line.skipped == 29


def test_positions_committed_after_the_read_of_the_outbox_are_not_skipped() -> None:
    """A response from before the missing position proves nothing."""
    line = Sequencer({9: 5})
    line.offer(arrival(batch(9, 7)))
    assert line.filled(Gap(9, 5), [], last_position=5) == []
    assert line.gaps() == [Gap(9, 5)]


def test_a_take_over_waits_for_the_former_owner() -> None:
    """The first commit of a new owner follows the last one of the former owner."""
    line = Sequencer({1: 3})
    assert line.offer(arrival(batch(2, 1, after={1: 5}))) == []
    assert line.gaps() == [Gap(1, 3)]
    assert keys(line.offer(arrival(batch(1, 4)))) == [(1, 4, 0)]
    assert keys(line.offer(arrival(batch(1, 5)))) == [(1, 5, 0), (2, 1, 0)]


def test_a_former_owner_whose_commits_were_delivered_is_skipped() -> None:
    """If the outbox holds nothing more of it, the take-over continues."""
    line = Sequencer({})
    line.offer(arrival(batch(2, 1, after={1: 5})))
    assert keys(line.filled(Gap(1, 0), [], last_position=5)) == [(2, 1, 0)]


def test_the_outbox_replaces_received_parts() -> None:
    """A complete position ends the wait for its other parts."""
    line = Sequencer({7: 1})
    line.offer(arrival(batch(7, 2, 1)))
    ready = line.filled(Gap(7, 1), [batch(7, 2)], last_position=2)

    assert keys(ready) == [(7, 2, 0)]
    assert line.offer(arrival(batch(7, 2, 0, last=False))) == []


def test_held_commits_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit commits are dropped and later read from the outbox."""
    monkeypatch.setattr(sequencer, "HELD_COUNT_MAX", 3)
    line = Sequencer({})
    for position in range(2, 12):
        line.offer(arrival(batch(7, position)))
    stored = [batch(7, position) for position in range(1, 12)]
    seen: list[int] = []
    while gaps := line.gaps():
        (gap,) = gaps
        page = [each for each in stored if each.position > gap.after][:2]
        seen += [a.batch.position for a in line.filled(gap, page, last_position=11)]
    assert seen == list(range(1, 12))


@pytest.mark.parametrize("seed", range(200))
def test_any_schedule_gives_every_position_once_and_in_order(seed: int) -> None:
    """With losses, repeats, reordering between incarnations, parts and take-overs."""
    random_ = random.Random(seed)
    committed = _history(random_)
    sent = [each for each in committed if random_.random() > 0.2]
    sent += random_.sample(sent, len(sent) // 3)
    by_key = {(each.incarnation, each.position, each.part): each for each in committed}
    # The order of each publisher is kept mostly, and broken sometimes.
    sent.sort(key=lambda each: (each.position + random_.randrange(4), each.incarnation))

    line, got = Sequencer({}), []
    for each in sent:
        got += keys(line.offer(arrival(each)))
        if random_.random() < 0.3:
            got += _fill(line, committed, random_)
    for incarnation in {each.incarnation for each in committed}:
        line.offer(arrival(batch(incarnation, 99)))
    while line.gaps():
        got += _fill(line, committed, random_)

    wanted = [key for key in by_key if key[1] != 99]
    got = [key for key in got if key[1] != 99]
    assert set(got) == set(wanted)
    _assert_ordered(got, by_key)


def _history(random_: random.Random) -> list[pb.EventBatch]:
    committed: list[pb.EventBatch] = []
    last: dict[int, int] = {}
    for incarnation in (1, 2, 3):
        for position in range(1, random_.randrange(3, 12)):
            after = {}
            if position == 1 and last:
                former = random_.choice(list(last))
                after = {former: last[former]}
            parts = random_.choice((1, 1, 1, 2, 3))
            for part in range(parts):
                final = part == parts - 1
                committed.append(batch(incarnation, position, part, last=final, after=after))
            last[incarnation] = position
    return committed


def _fill(
    line: Sequencer, committed: list[pb.EventBatch], random_: random.Random
) -> list[tuple[int, int, int]]:
    got: list[tuple[int, int, int]] = []
    for gap in line.gaps():
        mine = [each for each in committed if each.incarnation == gap.incarnation]
        last = max(each.position for each in mine)
        until = gap.after + random_.randrange(1, 4)
        page = [_copy(each) for each in mine if gap.after < each.position <= until]
        got += keys(line.filled(gap, page, last_position=98 if gap.after >= last else last))
    return got


def _copy(message: pb.EventBatch) -> pb.EventBatch:
    copied = pb.EventBatch()
    copied.CopyFrom(message)
    return copied


def _assert_ordered(
    got: list[tuple[int, int, int]], by_key: dict[tuple[int, int, int], pb.EventBatch]
) -> None:
    seen: dict[int, int] = {}
    for incarnation, position, part in got:
        assert position >= seen.get(incarnation, 0)
        for former in by_key[incarnation, position, part].after:
            assert seen.get(former.incarnation, 0) >= former.position
        seen[incarnation] = position


def test_spots_are_those_of_the_last_advanced_incarnations() -> None:
    """The last returned commits of some incarnations; without those that never advanced."""
    line = Sequencer({1: 4, 2: 5, 3: 0})
    line.offer(arrival(batch(1, 5)))
    line.offer(arrival(batch(4, 1, 0, last=False)))
    assert line.spots(9) == {
        2: (5, END, END, END),
        1: (5, END, END, END),
    }
    assert list(line.spots(1)) == [1]
