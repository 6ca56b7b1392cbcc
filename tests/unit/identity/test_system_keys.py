"""Keys of agents that a system manages in place of a user."""

from typing import Any, cast

import pytest

from flowmesh.errors import Forbidden
from flowmesh.identity.app_keys import AppKeys
from flowmesh.runtime import Clock


class Projects:
    """Has the project of each namespace, and no keys."""

    async def project_of(self, namespace: str) -> str:
        return f"project of {namespace}"


@pytest.mark.parametrize(
    ("role", "queues"),
    [("viewer", ("packing",)), ("editor", ("packing",)), ("admin", ("packing",)), ("worker", ())],
)
async def test_a_system_gives_no_other_rights_than_those_of_named_queues(
    role: str, queues: tuple[str, ...]
) -> None:
    """Neither the role of a user nor the queues of a whole namespace."""
    nothing = cast("Any", None)
    keys = AppKeys(
        store=cast("Any", Projects()),
        principals=nothing,
        revocations=nothing,
        pepper=b"",
        clock=Clock(),
    )
    with pytest.raises(Forbidden, match=r"kubernetes/c1/shop may give agent\.a the role worker"):
        await keys.issue(
            "shop", "agent.a", maker="", role=role, queues=queues, owner="kubernetes/c1/shop"
        )
