"""Each role may call what the matrix says, and nothing else."""

import pytest

from flowmesh.access import PERMISSIONS, Role
from flowmesh.access.roles import roles_with
from flowmesh.api.common.v1.access_pb2 import AccessScope
from tests.access.answers import call
from tests.access.contracts import METHODS, Method
from tests.access.crossing import Pair
from tests.access.samples import sample
from tests.access.tenants import Tenant
from tests.features.closed import Closed

pytestmark = [pytest.mark.feature("S1-111", "S3-129")]
# The session of the owner is needed until the end, and a setting decides on companies.
LEFT_OUT = ("AuthService.Logout", "TenantService.CreateCompany")
CALLED = [method for method in METHODS if not method.rule.is_public and method.name not in LEFT_OUT]
UNSERVED = "UNIMPLEMENTED"


async def verdicts(method: Method, tenant: Tenant, nothing: Tenant) -> dict[Role, str]:
    """Return what the wall says to each role; empty if it lets the call through.

    The request names the tenant's namespace, and objects that are not there.
    """
    ids = {**nothing.ids}
    asked = Tenant(nothing.canary, tenant.namespace, {}, ids, nothing.names)
    found = {}
    for role in Role:
        answer = await call(tenant.keys[role], method, sample(method, asked))
        refused = answer.code in ("PERMISSION_DENIED", UNSERVED)
        found[role] = f"{answer.reason}: {answer.message}" if refused else ""
    return found


# The owner here is a user; keys, which the other callers are, have no session to share.
OF_USERS = {"LoginService.ApproveDeviceLogin", "LoginService.ApproveLoopbackLogin"}


def expected(method: Method, role: Role) -> str:
    """Return the beginning of a refusal as the matrix has it; empty for a call that is served."""
    rule = method.rule
    if rule.is_for_services:
        return "SERVICES_ONLY: "
    if str(method) in OF_USERS and role is not Role.OWNER:
        return "ROLE_REQUIRED: only users"
    if method.rule.method.startswith("ProvisioningService."):
        # No role provisions: a key of a permission of its own does.
        return "ROLE_REQUIRED: the call needs an API key with the permission `scim:"
    everywhere = rule.scope == AccessScope.ACCESS_SCOPE_CLUSTER
    if not rule.bits or (PERMISSIONS[role] & rule.bits and not everywhere):
        return ""
    return f"ROLE_REQUIRED: {method} needs the role {' or '.join(roles_with(rule.bits))} in "


def wrong(method: Method, found: dict[Role, str]) -> list[str]:
    """Return the roles that are not refused or served as the matrix says."""
    errors = []
    for role, verdict in found.items():
        if verdict.startswith(UNSERVED):
            continue
        start = expected(method, role)
        if not (verdict.startswith(start) if start else not verdict):
            errors.append(f"{method} as {role}: {verdict!r}, not {start or 'served'!r}")
    return errors


@pytest.mark.parametrize("method", CALLED, ids=str)
async def test_each_role_is_refused_or_served_as_the_matrix_says(
    method: Method, pair: Pair, closed: Closed
) -> None:
    """The refusal names the method and the roles that may call it."""
    assert wrong(method, await verdicts(method, pair.caller, pair.nothing)) == []
