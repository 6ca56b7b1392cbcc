"""The rights of the operator and of the fleet: enough for what they do, and none to spare."""

import json

import pytest

from flowmesh.testing.polling import until
from tests.kubernetes.conftest import SYSTEM, Place
from tests.kubernetes.test_agents import agent_spec, policy
from tests.kubernetes.test_operator import noop, task, workflow

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(240)]
ROLES = {
    "flowmesh-operator": (("clusterrole", "flowmesh-operator"), ("role", "flowmesh-operator")),
    "flowmesh-fleet": (("clusterrole", "flowmesh-fleet"), ("clusterrole", "flowmesh-fleet-agents")),
}
# A server-side apply needs both, and is a patch in the log.
APPLIED = (
    *("deployments", "statefulsets", "services", "configmaps", "horizontalpodautoscalers"),
    "networkpolicies",
)
# Kinds that are read for a review where the watch has not seen them.
READ = ("workflows", "workflowtasks", "workflowtemplates", "agentspecs")
CACHE = {
    "apiVersion": "workflow.io/v1",
    "kind": "Infrastructure",
    "metadata": {"name": "cache"},
    "spec": {"kind": "redis"},
}


@pytest.fixture
async def used(place: Place, namespace: str) -> dict[str, set[tuple[str, str]]]:
    """The rights of each account that the log has, after a life of each kind of object.

    Apps are those of other tests: what they need is compared once one has been there.
    """
    await _renewed(place)

    async def stored() -> bool:
        documents = task("charge"), workflow("order", noop("a")), CACHE
        return "failed calling" not in await place.apply(namespace, *documents, check=False)

    await until("stored", stored, within_s=40, poll_s=0.5)
    await place.apply(namespace, agent_spec(replicas=1), policy(min=1, max=2))
    await place.until_ready(namespace, "workflow", "order")
    await place.until_ready(namespace, "scalingpolicy", "packing")

    async def has_agent() -> bool:
        return "agent-" in await place.kubectl("get", "pods", "-n", namespace, "-o", "name")

    async def has_secret() -> bool:
        found = await place.kubectl("get", "secrets", "-n", SYSTEM, "-o", "name")
        return "flowmesh-infrastructure" in found

    await until("an agent", has_agent, within_s=40, poll_s=0.5)
    await until("the seed of passwords", has_secret, within_s=30, poll_s=0.5)
    kinds = ("workflow", "agentspec", "scalingpolicy")
    for kind in kinds:
        await place.kubectl("delete", kind, "--all", "-n", namespace, "--timeout=50s")
    return {account: _of_log(place, account) for account in ROLES}


async def _renewed(place: Place) -> None:
    """Empty the Secret of the webhook, which the operator fills again."""
    secret = ("secret", "flowmesh-webhook", "-n", SYSTEM)
    await place.kubectl("patch", *secret, "--type=merge", "-p", '{"data": null}')

    async def filled() -> bool:
        return bool((await place.cluster.get(*secret)).get("data"))

    await until("filled", filled, within_s=40, poll_s=0.5)


def _of_log(place: Place, account: str) -> set[tuple[str, str]]:
    """Return the rights that an account has used. A denied call fails the test."""
    used, denied = set(), []
    user = f"system:serviceaccount:{SYSTEM}:{account}"
    for line in (place.cluster.folder / "audit.log").read_text().splitlines():
        entry = json.loads(line)
        if entry["user"]["username"] != user or entry["stage"] != "ResponseComplete":
            continue
        target = entry["objectRef"]
        resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
        used.add((resource, entry["verb"]))
        # An Event is refused in a namespace that is being deleted.
        if entry["responseStatus"]["code"] == 403 and resource != "events":
            denied.append((resource, entry["verb"], entry["responseStatus"].get("message")))
    assert not denied
    return used


async def test_no_call_is_denied_and_no_rule_is_unused(
    place: Place, used: dict[str, set[tuple[str, str]]]
) -> None:
    """Compared with the audit log of the API server."""
    for account, rights in used.items():
        roles = list(ROLES[account])
        if ("deployments", "patch") in rights:
            roles.append(("clusterrole", "flowmesh-operator-apps"))
        granted = set()
        for kind, name in roles:
            role = await place.cluster.get(kind, name, "-n", SYSTEM)
            for rule in role["rules"]:
                assert "*" not in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])
                granted |= {(each, verb) for each in rule["resources"] for verb in rule["verbs"]}
        created = {(each, "create") for each in APPLIED}
        watched = {(each, "watch") for each, verb in granted if verb == "watch"}
        read = {(each, "get") for each in READ}
        unused = granted - rights - created - watched - read - _of_other_kinds(granted)
        assert unused == set(), account


def _of_other_kinds(granted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The rights on templates, Apps and Infrastructure, of which there may be none."""
    others = ("workflowtemplates", "apps/", "infrastructures/")
    return {each for each in granted if each[0].startswith(others)}
