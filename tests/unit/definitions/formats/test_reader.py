"""Messages for members of the wrong type."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions import compile_source
from flowmesh.definitions.limits import LABEL_CHARACTERS_MAX
from flowmesh.definitions.reading.reader import shown
from flowmesh.errors import Invalid
from tests.features.natives import text, workflow


def message_of(**task: Json) -> str:
    with pytest.raises(Invalid) as refused:
        compile_source(text(workflow("w", {"id": "a", "taskRef": "noop", **task})).encode())
    return refused.value.violations[0].description


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("5 parsecs", "not '5 parsecs'"),
        ("x" * 65, f"not {'x' * 64!r}…"),
        ("1s\n", "not '1s\\n'"),
        (5, "not 5"),
        (1.5, "not 1.5"),
        (True, "not true"),
        ([1], "not an array"),
        ({}, "not an object"),
    ],
)
def test_a_duration_that_is_none_is_named(value: Json, words: str) -> None:
    """In the timeout of a task, in its retries and in the input of a delay."""
    expected = 'a duration such as "500ms", "30s", "5m" or "1h"'
    assert message_of(timeout=value) == f"timeout must be {expected}, {words}"
    assert message_of(retry={"maxDelay": value}) == f"maxDelay must be {expected}, {words}"
    if value != 5:
        delay = message_of(taskRef="delay", input={"duration": value})
        more = "a whole number of ms, or an instant such as 2030-01-31T08:00:00Z"
        assert delay == f"duration must be {expected}, {more}, {words}"


def test_a_delay_may_be_a_number_or_a_template() -> None:
    """From 0 to 366 days; or an instant."""
    instant = "2030-01-31T08:00:00+02:00"
    for value in ("1h30m", 5, 5.0, 0, 366 * 86_400_000, "{{input.wait}}", instant):
        task = {"id": "a", "taskRef": "delay", "input": {"duration": value}}
        compile_source(text(workflow("w", task)).encode())
    for value in (-1, 366 * 86_400_000 + 1, "8785h", 2**63):
        assert "it must be from 0 to 31622400000" in message_of(
            taskRef="delay", input={"duration": value}
        )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (False, "false"),
        (2**70, "1.18059162071741e+21"),
        ("", "''"),
        ([], "an array"),
    ],
)
def test_any_value_is_shown_shortened(value: Json, words: str) -> None:
    """In a form that its author recognizes."""
    assert shown(value) == words


@pytest.mark.parametrize("length", [1, LABEL_CHARACTERS_MAX])
def test_labels_have_names_and_values_up_to_the_limit(length: int) -> None:
    """One character more in either is a problem, and so is an empty name."""

    def labels(name: str, value: str) -> None:
        resource = workflow("w", {"id": "a", "taskRef": "noop"})
        resource["metadata"]["labels"] = {name: value}
        compile_source(text(resource).encode())

    labels("n" * length, "v" * length)
    longer = LABEL_CHARACTERS_MAX + 1
    for name, value in (("n" * longer, "v"), ("n", "v" * longer), ("", "v")):
        with pytest.raises(Invalid, match="a label is a string of at most"):
            labels(name, value)


@pytest.mark.parametrize("value", [True, False])
def test_compensation_has_a_default_for_each_end(value: bool) -> None:
    """Yes after a failure and a cancellation, no after a termination; each can be changed alone."""

    def ends(**compensation: Json) -> tuple[bool, bool, bool]:
        task = {"id": "a", "taskRef": "noop", "undo": {"taskRef": "noop"}}
        made = compile_source(text(workflow("w", task, compensation=compensation)).encode())
        found = made.compensation
        return not found.not_on_failure, not found.not_on_cancel, found.on_terminate

    assert ends() == (True, True, False)
    assert ends(onFailure=value) == (value, True, False)
    assert ends(onCancel=value) == (True, value, False)
    assert ends(onTerminate=value) == (True, True, value)
