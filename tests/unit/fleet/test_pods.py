"""The state of an agent by its pod."""

from typing import Any

import pytest

from flowmesh.fleet.driving import pods

ENDS = "2026-11-28T12:00:00Z"
AT_S = 1_795_867_200.0


def pod(phase: str, *, node: str = "local", code: int | None = None, **metadata: Any) -> Any:
    terminated = {} if code is None else {"terminated": {"exitCode": code, "message": "last"}}
    status = {"phase": phase, "containerStatuses": [{"state": terminated}]}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": status}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (pod("Pending", node=""), None),
        (pod("Running"), None),
        (pod("Succeeded", code=0), 0),
        (pod("Failed", code=3), 3),
        (pod("Failed", code=137), -9),
        (pod("Pending", node="", deletionTimestamp=ENDS), -9),
        (pod("Running", deletionTimestamp=ENDS), None),
    ],
)
def test_the_end_of_an_agent_is_that_of_its_container(found: Any, code: int | None) -> None:
    """A pod that no node has yet ends with its deletion."""
    assert pods.observed(found, AT_S, 0.0, 0).code == code


def test_a_pod_whose_node_is_lost_has_ended() -> None:
    """Once its time was up 30 s ago."""
    found = pod("Running", deletionTimestamp=ENDS)
    assert pods.observed(found, AT_S + 31, 0.0, 0).code == -9


def test_quantities_are_numbers() -> None:
    """As metrics have them."""
    texts = {"250m": 0.25, "1500000n": 0.0015, "2": 2.0, "64Mi": 64 * 2**20, "1Gi": 2**30}
    assert {text: pytest.approx(pods.quantity(text)) for text in texts} == texts
