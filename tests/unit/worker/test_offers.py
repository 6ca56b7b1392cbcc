"""What the built-in worker takes, as the settings of its service say."""

import pytest

from flowmesh.executors.noop import noop_executor
from flowmesh.runtime import StartError
from flowmesh.worker import limits
from flowmesh.worker.offers import checked_queues, offered

EXECUTORS = dict.fromkeys(("http.request", "python", "log"), noop_executor())


@pytest.mark.parametrize(
    ("names", "wanted"),
    [((), ["http.request", "python", "log"]), (("log", "python", "log"), ["log", "python"])],
)
def test_named_types_are_offered_and_all_without_names(
    names: tuple[str, ...], wanted: list[str]
) -> None:
    """A type that is named twice is there once."""
    assert list(offered(EXECUTORS, names)) == wanted


def test_an_unknown_type_is_refused_with_those_there_are() -> None:
    """And with the one that was most likely meant."""
    with pytest.raises(StartError) as refused:
        offered(EXECUTORS, ("log", "pyton"))
    assert str(refused.value) == (
        "FLOWMESH_WORKER_TASK_TYPES: the built-in worker runs no 'pyton'; did you mean 'python'?;"
        " it runs http.request, python, log"
    )


def test_queues_are_named_as_in_definitions() -> None:
    """As many as a worker of one's own may name, each of the shape of an id."""
    assert checked_queues(("default", "eu:gpu")) == ["default", "eu:gpu"]
    with pytest.raises(StartError, match=r"^FLOWMESH_WORKER_QUEUES: 'a b' is not an id: 1 to 128"):
        checked_queues(("default", "a b"))
    with pytest.raises(StartError, match="at most 100 queues, not 101"):
        checked_queues([f"q{n}" for n in range(limits.WORKER_NAMES_MAX + 1)])
