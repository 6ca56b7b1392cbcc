"""Messages, streams, people and an application of an installation, before and after an upgrade."""

from dataclasses import dataclass, field
from typing import Any

from flowmesh.access import Role
from flowmesh.api.identity.v1 import auth_service_pb2, principal_pb2
from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.access.tenants import member
from tests.features.closed import PASSWORD, Caller, Closed

WITHIN_S = 60.0
HOUR_MS = 3_600_000
USER = "ann@shop.example"
COUNT = 6
# The values of a queue that tell what is in it; others depend on time and version.
_CONTENT = ("kind", "depth", "ready", "inFlight", "deadLetters")
_GROUP = ("group", "pending", "position", "lag")
QUEUES: dict[str, Json] = {
    "lost": {},
    "parcels": {"visibilityTimeoutMs": HOUR_MS, "deadLetterQueue": "lost"},
    "log": {"kind": "stream"},
}
DOCUMENT = "name: desk\nmodules: [{name: a, type: http.handler}]\n"


@dataclass
class Stores:
    """What was stored; `is_later` if the release has the event store and applications."""

    is_later: bool
    namespace: str = ""
    admin: str = ""
    viewer: str = ""
    receipt: str = ""
    queues: dict[str, Json] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)

    async def fill(self, closed: Closed, project: Any, admin: str) -> None:
        """Store messages in every state, streams with positions, a user, a key, an application."""
        self.namespace, self.admin = project.namespace, admin
        await member(closed, USER, principal_pb2.LEVEL_PROJECT, project.id, Role.EDITOR)
        self.viewer = (await closed.key(project.id, "viewer")).credential
        await self._fill_queues(closed.suite)
        if self.is_later:
            await self._fill_streams(closed.suite)
            app = {"document": DOCUMENT}
            await self._call(closed.suite, "POST", "apps/desk:deploy", app)
        self.queues = await self._content(closed.suite)

    async def check(self, suite: Suite) -> None:
        """Compare what is stored with what was, and log in."""

        async def same() -> bool:
            return await self._content(suite) == self.queues

        await until("the queues as they were", same, within_s=WITHIN_S)
        login = auth_service_pb2.LoginRequest(email=USER, password=PASSWORD)
        user = await Caller(suite, "").auth.Login(login)
        _, me = await Caller(suite, user.tokens.access_token).rest("GET", "/api/v1/auth/me")
        assert [each["role"] for each in me["user"]["roles"]] == ["editor"], me
        viewer = Caller(suite, self.viewer)
        headers = {"flowmesh_namespace": self.namespace}
        assert (await viewer.rest("GET", "/api/v1/workflows", **headers))[0] == 200
        assert (await viewer.rest("DELETE", "/api/v1/workflows/ended", **headers))[0] == 403
        if self.is_later:
            assert await self._stored_events(suite) == self.events
            await until("the application", lambda: self._serves(suite), within_s=WITHIN_S)

    async def finish(self, suite: Suite) -> None:
        """Receive each message and event that is left, once."""
        settled = await self._call(
            suite, "POST", "message-queues/parcels:settle", {"acks": [self.receipt]}
        )
        assert not settled["outcomes"][0].get("reason"), settled
        await self._drain(suite, "parcels", ["m4", "m5"])
        await self._drain(suite, "lost", ["m1"])
        await self._drain(suite, "log", ["m2", "m3", "m4", "m5"], group="readers")
        # Left is the message that waits for an hour.
        left = (await self._call(suite, "GET", "message-queues/parcels"))["depth"]
        assert left == 1
        if self.is_later:
            assert await self._taken(suite, COUNT) == [f"e{n}" for n in range(2, COUNT)]

    async def _fill_queues(self, suite: Suite) -> None:
        """Leave m0 done, m1 dead, m2 delayed, m3 in flight, and the others ready."""
        messages = [{"id": f"m{n}", "body": {"n": n}} for n in range(COUNT)]
        for name, arguments in QUEUES.items():
            await self._call(suite, "PUT", f"message-queues/{name}", arguments)
        for name in ("parcels", "log"):
            path = f"message-queues/{name}:publish"
            await self._call(suite, "POST", path, {"messages": messages})
        taken = await self._take(suite, "parcels", 4)
        done, dead, late, self.receipt = (each["receipt"] for each in taken)
        nacks = [
            {"receipt": dead, "reject": True, "error": "broken"},
            {"receipt": late, "delayMs": HOUR_MS},
        ]
        body = {"acks": [done], "nacks": nacks}
        await self._call(suite, "POST", "message-queues/parcels:settle", body)
        read = await self._take(suite, "log", 2, group="readers")
        acks = {"acks": [each["receipt"] for each in read]}
        await self._call(suite, "POST", "message-queues/log:settle", acks)

        async def dead_letter() -> bool:
            return bool((await self._content(suite))["lost"]["ready"] == 1)

        await until("the dead letter", dead_letter, within_s=WITHIN_S)

    async def _fill_streams(self, suite: Suite) -> None:
        """Append events, of which a group has settled two."""
        events = [{"id": f"e{n}", "type": "packed", "data": {"n": n}} for n in range(COUNT)]
        await self._call(suite, "POST", "streams/orders/events", {"events": events})
        await self._call(suite, "PUT", "event-groups/billing", {"leaseMs": HOUR_MS})
        assert await self._taken(suite, 2) == ["e0", "e1"]
        self.events = await self._stored_events(suite)

    async def _stored_events(self, suite: Suite) -> list[Json]:
        found = await self._call(suite, "GET", "streams/orders/events")
        return [(each["id"], each["position"], each["data"]) for each in found["events"]]

    async def _taken(self, suite: Suite, count: int) -> list[str]:
        """Receive and settle events of the group; return their ids."""
        found: list[Json] = []

        async def there() -> bool:
            body = {"count": count - len(found), "waitMs": 500}
            answer = await self._call(suite, "POST", "event-groups/billing:receive", body)
            found.extend(answer["deliveries"])
            return len(found) >= min(count, COUNT - 2)

        await until("the events of the group", there, within_s=WITHIN_S)
        settlements = [
            {"position": each["event"]["position"], "attempt": each["attempt"]} for each in found
        ]
        settled = {"settlements": settlements}
        await self._call(suite, "POST", "event-groups/billing:settle", settled)
        return [each["event"]["id"] for each in found]

    async def _serves(self, suite: Suite) -> bool:
        app = await self._call(suite, "GET", "apps/desk")
        return bool((app["state"], app["release"]) == ("running", 1))

    async def _content(self, suite: Suite) -> dict[str, Json]:
        """Return what is in each queue."""
        found: dict[str, Json] = {}
        for name in QUEUES:
            queue = await self._call(suite, "GET", f"message-queues/{name}")
            found[name] = {key: queue[key] for key in _CONTENT}
            found[name]["groups"] = [
                {key: each[key] for key in _GROUP if key in each} for each in queue["groups"]
            ]
        return found

    async def _take(
        self, suite: Suite, queue: str, count: int, **more: Json
    ) -> list[dict[str, Any]]:
        """Receive this many messages of a queue."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found.extend(await self._receive(suite, queue, count - len(found), **more))
            return len(found) == count

        await until(f"{count} messages of {queue}", there, within_s=WITHIN_S)
        return found

    async def _drain(self, suite: Suite, queue: str, ids: list[str], **more: Json) -> None:
        """Receive and settle the messages of a queue: those with these ids, and no other."""
        found = await self._take(suite, queue, len(ids), **more)
        assert [each["id"] for each in found] == ids
        acks = {"acks": [each["receipt"] for each in found]}
        await self._call(suite, "POST", f"message-queues/{queue}:settle", acks)
        assert await self._receive(suite, queue, 1, **more) == []

    async def _receive(
        self, suite: Suite, queue: str, count: int, **more: Json
    ) -> list[dict[str, Any]]:
        body = {"count": count, "waitMs": 500, **more}
        answer = await self._call(suite, "POST", f"message-queues/{queue}:receive", body)
        found: list[dict[str, Any]] = answer["messages"]
        return found

    async def _call(self, suite: Suite, method: str, path: str, body: Json = None) -> Any:
        caller = Caller(suite, self.admin)
        status, answer = await caller.rest(
            method, f"/api/v1/{path}", body, flowmesh_namespace=self.namespace
        )
        assert status < 300, (path, answer)
        return answer
