"""The rules that read sentences."""

import time

import pytest

from flowmesh.assistant.offline.clauses import steps_of
from flowmesh.assistant.offline.conditions import condition_of
from flowmesh.assistant.offline.drafting import Drafter
from flowmesh.assistant.offline.matching import KnownTask, Tasks
from flowmesh.assistant.offline.schedules import trigger_of

TASKS = Tasks(
    [
        KnownTask.of("send-email", {"description": "Sends a mail."}),
        KnownTask.of("charge-payment", {"description": "Charges a customer."}),
    ]
)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("every Monday at 9, x", "0 9 * * 1"),
        ("Every day at 6:30 pm, x", "30 18 * * *"),
        ("Every 5 minutes, x", "*/5 * * * *"),
        ("On weekdays at noon, x", "0 12 * * 1-5"),
        ("Every month at 8, x", "0 8 1 * *"),
    ],
)
def test_a_schedule_becomes_a_cron_expression(text: str, expression: str) -> None:
    """The rest of the sentence is what is left to do."""
    trigger, rest = trigger_of(text)
    assert trigger is not None
    assert trigger["cron"]["expression"] == expression
    assert rest == "x"


@pytest.mark.parametrize(
    ("text", "expression", "understood"),
    [
        ("the total is over 100", "input.total > 100", True),
        ("the price is at most $9.50", "input.price <= 9.50", True),
        ("the plan is 'gold'", 'input.plan == "gold"', True),
        ("the order is not paid", "!input.paid", True),
        ("the moon shines", "input.moonShines", False),
    ],
)
def test_a_condition_reads_an_input(text: str, expression: str, understood: bool) -> None:
    """One that is not understood reads a flag, and says so."""
    found = condition_of(text)
    assert (found.expression, found.understood) == (expression, understood)


def test_steps_are_split_where_a_verb_follows() -> None:
    """Lists of things stay together, lists of steps do not."""
    steps = steps_of("Send name, phone and address to bob, then charge the card and pack the box.")
    assert [step.text for step in steps] == [
        "Send name, phone and address to bob",
        "charge the card",
        "pack the box",
    ]


def test_a_step_finds_the_task_that_it_means() -> None:
    """By its words and their synonyms; another one is declared and asked about."""
    draft = Drafter(TASKS).draft("", steps_of("Mail bob, bill ann, then polish the cup."), None)
    workflow, task = draft.documents
    refs = [node["taskRef"] for node in workflow["spec"]["tasks"]]
    assert refs == ["send-email", "charge-payment", "polish-cup"]
    assert task["metadata"]["name"] == "polish-cup"
    assert len(draft.questions) == 1


@pytest.mark.parametrize("text", ["a.a" * 5_000, "if " + "a " * 8_000, "and, " * 3_000])
def test_a_text_that_is_no_sentence_is_read_in_time(text: str) -> None:
    """The patterns see bounded parts of a prompt."""
    began = time.thread_time()
    trigger, rest = trigger_of(text)
    Drafter(TASKS).draft(text, steps_of(rest), trigger)
    assert time.thread_time() - began < 2
