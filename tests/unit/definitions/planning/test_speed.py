"""Duration of checks and analyses of large workflows."""

import orjson
import pytest

from flowmesh.definitions import Task, analyse, check, load_task, load_workflow, read_source
from flowmesh.testing.polling import target_s
from tests.unit.definitions.checks.test_analysis import steps_document
from tests.unit.definitions.checks.test_types import ORDER
from tests.unit.definitions.factories import node, task, workflow

ANALYSED = 10_000
# Seconds of a core of the machine that targets are meant for.
ANALYSIS_S_MAX = 0.050
# Close to the bound, and a try is short: others in the caches of the machine spoil nine at once.
ANALYSIS_TRIES = 25
TRIES = 9


def test_ten_thousand_nodes_are_analysed_fast() -> None:
    """With twenty thousand edges."""
    made = load_workflow(steps_document(ANALYSED))
    analysis = analyse(made)
    edges = sum(len(node.successors) for node in analysis.nodes)
    assert (len(analysis.nodes), edges > 19_000) == (ANALYSED, True)
    assert target_s(lambda: analyse(made), ANALYSIS_TRIES) < ANALYSIS_S_MAX


def large(nodes: int) -> tuple[bytes, dict[str, Task]]:
    """A workflow of typed nodes in chains, and the library that it needs."""
    schema = {**ORDER, "additionalProperties": False}
    library = {
        f"t{number}": load_task(task(f"t{number}", inputSchema=ORDER, outputSchema=schema))
        for number in range(20)
    }
    tasks = [node("n0", "t0", input="{{input}}")]
    for number in range(1, nodes):
        before = f"tasks.n{max(0, number - 1 - number % 7)}.output"
        parts = {name: "{{" + f"{before}.{name}" + "}}" for name in ORDER["required"]}
        whole = "{{" + before + "}}"
        tasks.append(node(f"n{number}", f"t{number % 20}", input=parts if number % 2 else whole))
    return orjson.dumps(workflow(*tasks, inputSchema=ORDER)), library


@pytest.mark.parametrize(
    ("nodes", "seconds"), [(1_000, 0.15), pytest.param(10_000, 2.0, marks=pytest.mark.slow)]
)
def test_validation_is_fast(nodes: int, seconds: float) -> None:
    """From the text of the document on."""
    source, library = large(nodes)

    def validate() -> None:
        assert check(read_source(source, "application/json"), library.get) == ()

    assert target_s(validate, TRIES) < seconds
