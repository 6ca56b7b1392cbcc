"""The tests of the wall find each hole: without the check of one method, they fail.

A module on the path of the suite's process replaces the check; the product has no such switch.
"""

import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowmesh.access import Role
from tests.access.contracts import BY_NAME, METHODS, Method
from tests.access.crossing import Pair, leaks
from tests.access.tenants import Tenant, tenant, twin
from tests.access.test_roles import LEFT_OUT, UNSERVED, verdicts, wrong
from tests.features.closed import closed_suite

pytestmark = [pytest.mark.long, pytest.mark.feature("S4-62")]
SEED = 39
DRAWN = 20
TENANT_SIGHT = "Permissions._sees"
MODULE = """
import sys
from pathlib import Path

hole = Path({hole!r})
if "flowmesh.suite" in sys.orig_argv:
    from flowmesh.access.rules import Rule
    from flowmesh.identity.permissions import Permissions

    check, sees = Rule.check, Permissions._sees

    def checked(self, principal, request, *, first=True):
        if self.method != hole.read_text():
            check(self, principal, request, first=first)

    async def seen(self, place):
        return hole.read_text() == {sight!r} or await sees(self, place)

    Rule.check, Permissions._sees = checked, seen
"""


@dataclass(frozen=True)
class Holed:
    """Two tenants behind a wall whose hole can be chosen."""

    pair: Pair
    # Its names are in no request of the tenant tests, which calls that create objects would spoil.
    unheard: Tenant
    hole: Path

    async def faults(self, method: Method) -> list[str]:
        """Return what the tests of roles and of tenants find about a method."""
        found = await verdicts(method, self.pair.caller, self.unheard)
        return wrong(method, found) + await leaks(method, self.pair, Role.ADMIN)


@pytest.fixture(scope="module")
async def holed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Holed]:
    folder: Path = tmp_path_factory.mktemp("holed")
    hole = folder / "hole"
    hole.write_text("")
    (folder / "sitecustomize.py").write_text(MODULE.format(hole=str(hole), sight=TENANT_SIGHT))
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", ""))))
    async with closed_suite(folder, PYTHONPATH=path) as closed:
        caller, other = [await tenant(closed, f"canary{which}2b8e41") for which in "ab"]
        pair = Pair(caller, other, twin(other, "canaryx2b8e41"))
        yield Holed(pair, twin(other, "canaryy2b8e41"), hole)


async def _drawn(holed: Holed) -> list[Method]:
    """Return methods with a check, in the order of the seed; those that are served."""
    # A task that waits goes to the first of two workers, whose answers then differ.
    left_out = {*LEFT_OUT, "WorkerService.Work"}
    checked = [each for each in METHODS if each.rule.bits and each.name not in left_out]
    random.Random(SEED).shuffle(checked)
    found: list[Method] = []
    for method in checked:
        says = await verdicts(method, holed.pair.caller, holed.unheard)
        if not says[Role.OWNER].startswith(UNSERVED):
            found.append(method)
        if len(found) == DRAWN:
            return sorted(found, key=_harm)
    raise AssertionError(f"only {len(found)} methods with a check are served")


def _harm(method: Method) -> int:
    """Return the place of a method: through a hole, calls change and delete what others show."""
    verb = method.name.partition(".")[2]
    if verb.startswith(("Get", "List", "Read", "Watch", "Search", "Count", "Browse")):
        return 0
    return 2 if verb.startswith(("Delete", "Deregister", "Remove", "Purge", "Revoke")) else 1


async def test_each_drawn_hole_is_found(holed: Holed) -> None:
    """With the check of the method there is no fault, without it there is one."""
    for method in await _drawn(holed):
        holed.hole.write_text("")
        assert await holed.faults(method) == []
        holed.hole.write_text(method.name)
        assert await holed.faults(method) != [], f"nothing misses the check of {method}"


@pytest.mark.parametrize("name", ["TenantService.GetProject", "MemberService.ListMembers"])
async def test_a_hole_between_tenants_is_found(holed: Holed, name: str) -> None:
    """The identity service checks projects itself: a foreign project is not found."""
    method = BY_NAME[name]
    holed.hole.write_text("")
    assert await leaks(method, holed.pair, Role.ADMIN) == []
    holed.hole.write_text(TENANT_SIGHT)
    assert await leaks(method, holed.pair, Role.ADMIN) != []
