"""Slots of a worker set, divided among orchestrators."""

import random

from flowmesh.worker.credit import Credit


def test_one_orchestrator_gets_everything() -> None:
    """There is nobody to keep slots for."""
    credit = Credit(256)
    assert credit.grant(["a"]) == {"a": 256}
    assert credit.free == 0
    assert credit.grant(["a"]) == {}


def test_several_start_with_equal_shares() -> None:
    """Nothing is known of their needs yet."""
    assert Credit(9).grant(["a", "b", "c"]) == {"a": 3, "b": 3, "c": 3}


def test_fewer_slots_than_orchestrators_go_round() -> None:
    """Each stream hears of the set, also one that gets no slot now."""
    grants = Credit(2).grant(["a", "b", "c"])
    assert sorted(grants.values()) == [0, 1, 1]


def test_a_slot_is_spent_and_free_again_with_the_result() -> None:
    """A task without credit is not taken."""
    credit = Credit(1)
    credit.grant(["a"])
    assert credit.spend("a")
    assert not credit.spend("a")
    assert credit.free == 0
    credit.release()
    assert credit.grant(["a"]) == {"a": 1}


def test_fewer_slots_call_back_what_is_granted_beyond_them() -> None:
    """What runs goes on; nothing is granted until there is room again."""
    credit = Credit(4)
    credit.grant(["a"])
    assert credit.spend("a")
    assert credit.spend("a")
    before, credit.slots = credit.overdrawn, 1
    assert (before, credit.overdrawn) == (False, True)
    assert credit.recall_all(0.0) == ["a"]
    credit.answer("a", 2)
    assert not credit.overdrawn
    assert credit.grant(["a"]) == {}
    credit.release()
    assert credit.grant(["a"]) == {}
    credit.release()
    assert credit.grant(["a"]) == {"a": 1}


def test_free_slots_go_where_tasks_wait() -> None:
    """In proportion to the backlog, after one for everybody."""
    credit = Credit(16)
    for _ in range(16):
        credit.adopt()
    credit.grant(["a", "b"])
    credit.set_backlog("a", 30)
    for _ in range(8):
        credit.release()
    assert credit.grant(["a", "b"]) == {"a": 7, "b": 1}


def test_idle_credit_is_recalled_for_orchestrators_with_tasks() -> None:
    """Only from streams without backlog that hold more than one, and once."""
    credit = Credit(16)
    credit.grant(["a", "b"])
    for _ in range(8):
        credit.spend("a")
    credit.set_backlog("a", 9)
    assert credit.recall(["a", "b"], now_ms=0.0) == ["b"]
    assert credit.recall(["a", "b"], now_ms=1.0) == []
    credit.answer("b", 8)
    assert credit.grant(["a", "b"]) == {"b": 1, "a": 7}


def test_few_slots_are_not_kept_by_an_orchestrator_without_tasks() -> None:
    """Who has tasks uses all of them, and the next ones that are free as well."""
    credit = Credit(3)
    credit.grant(["a", "b", "c"])
    assert credit.spend("a")
    credit.set_backlog("a", 9)
    assert credit.recall(["a", "b", "c"], now_ms=0.0) == ["b", "c"]
    for idle in ("b", "c"):
        credit.answer(idle, 1)
    assert credit.grant(["a", "b", "c"]) == {"a": 2}
    assert credit.spend("a")
    credit.release()
    assert credit.grant(["a", "b", "c"]) == {"a": 1}


def test_a_new_orchestrator_takes_its_share_of_idle_credit() -> None:
    """Joining late is no disadvantage."""
    credit = Credit(8)
    credit.grant(["a"])
    assert credit.grant(["a", "b"]) == {"b": 0}
    assert credit.recall(["a", "b"], now_ms=0.0) == ["a"]
    credit.answer("a", 8)
    assert credit.grant(["a", "b"]) == {"a": 4, "b": 4}


def test_credit_does_not_go_to_and_fro() -> None:
    """Who gave it back unused has nothing to send, whatever it said before; others are next."""
    credit = Credit(1)
    credit.set_backlog("a", 1)
    credit.grant(["a"])
    credit.grant(["a", "b"])
    assert credit.recall(["a", "b"], now_ms=0.0) == ["a"]
    credit.answer("a", 1)
    assert credit.grant(["a", "b"]) == {"b": 1}
    assert credit.recall(["a", "b"], now_ms=1.0) == []


def test_a_recall_without_answer_is_seen() -> None:
    """After its time the stream is to be closed."""
    credit = Credit(8)
    credit.grant(["a"])
    assert credit.recall_all(now_ms=100.0) == ["a"]
    assert credit.unanswered(before_ms=100.0) == []
    assert credit.unanswered(before_ms=101.0) == ["a"]


def test_a_broken_stream_frees_what_was_granted_on_it() -> None:
    """What runs goes on using its slot."""
    credit = Credit(4)
    credit.grant(["a"])
    credit.spend("a")
    credit.forget("a")
    assert credit.free == 3


def test_slots_are_conserved_in_any_order_of_events() -> None:
    """Free, granted and running slots add up, and are never more than there are."""
    for seed in range(200):
        draw = random.Random(seed)
        credit = Credit(draw.randint(1, 20))
        links = ["a", "b", "c"][: draw.randint(1, 3)]
        for step in range(100):
            link = draw.choice(links)
            match draw.randint(0, 6):
                case 0 | 1:
                    credit.grant(links)
                case 2:
                    credit.spend(link)
                case 3 if credit.running:
                    credit.release()
                case 4:
                    credit.set_backlog(link, draw.randint(0, 5))
                case 5:
                    for recalled in credit.recall(links, float(step)):
                        credit.answer(recalled, draw.randint(0, credit.granted(recalled)))
                case 6 if draw.random() < 0.1:
                    credit.forget(link)
            granted = sum(credit.granted(link) for link in links)
            assert credit.free + granted + credit.running == credit.slots, seed


def test_every_free_slot_is_granted_when_there_is_demand() -> None:
    """No slot stays behind while an orchestrator has tasks waiting."""
    for slots in range(1, 30):
        credit = Credit(slots)
        credit.set_backlog("b", 1_000)
        credit.grant(["a", "b", "c"])
        assert credit.free == 0, slots


def test_more_credit_than_backlog_is_recalled_too() -> None:
    """A backlog said long ago does not keep slots from who has nothing."""
    credit = Credit(8)
    credit.grant(["b"])
    credit.set_backlog("b", 3)
    credit.set_backlog("a", 100)
    assert credit.recall(["a", "b"], now_ms=0.0) == ["b"]


def test_a_single_slot_moves_to_an_orchestrator_with_tasks() -> None:
    """An idle orchestrator does not keep the only slot, and does not get it back first."""
    credit = Credit(1)
    assert credit.grant(["a", "b"]) == {"a": 1, "b": 0}
    credit.set_backlog("b", 1)
    assert credit.recall(["a", "b"], now_ms=0.0) == ["a"]
    credit.answer("a", 1)
    assert credit.grant(["a", "b"]) == {"b": 1}


def test_a_single_slot_rotates_among_busy_orchestrators() -> None:
    """The larger backlog does not always win."""
    credit = Credit(1)
    credit.set_backlog("a", 100)
    credit.set_backlog("b", 2)
    served = []
    for _ in range(4):
        [link_id] = [one for one, slots in credit.grant(["a", "b"]).items() if slots]
        assert credit.spend(link_id)
        credit.release()
        served.append(link_id)
    assert served == ["a", "b", "a", "b"]
