"""api.handler: a resource with list, get, create, update and delete."""

import asyncio
import hashlib
import re
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.auth import read_seed
from flowmesh.apps.modules.databases import STORE, RecordStore
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.pipeline.steps.values import validator_of, violations_of
from flowmesh.apps.wiring.ports import BROKER, COLLECTION, MACHINE
from flowmesh.contract.json_value import Json

Resource = dict[str, Json]

RESOURCES_MAX = 1_000_000
PAGE_DEFAULT = 1_000
PAGE_MAX = 10_000
KEYS_MAX = 10_000
SAVE_S = 10.0
_ID = re.compile(r"[A-Za-z0-9._:@-]{1,200}\Z")
_TABLE = "resources"
_ROLES = ("id", "state")
_RESERVED = frozenset({"limit", "cursor", "sort", "order", "q"})


class Resources:
    """The resources of one handler, in memory and written through to a store."""

    def __init__(
        self,
        *,
        name: str,
        store: RecordStore | None,
        config: Mapping[str, Json],
        machine: Callable[[], Any] | None,
        publish: Callable[[str, Json], Any],
        validator: Any = None,
        items: dict[str, Resource] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kind = name
        self._store = store
        self._workflow = str(config.get("workflowType") or "")
        self._first = str(config.get("initialTransition") or "")
        self._prefix = str(config.get("instanceIDPrefix") or "")
        self._transitions: Mapping[str, Json] = config.get("transitionMap") or {}
        self._summary: list[str] = config.get("summaryFields") or []
        self._machine = machine
        self._publish = publish
        self._validator = validator
        self._now = now
        # Shared by all handlers of the same resource.
        self._items: dict[str, Resource] = {} if items is None else items
        # Ids by Idempotency-Key.
        self._keys: OrderedDict[str, str] = OrderedDict()
        roles = config.get("fieldMapping") or {}
        self._id_field = str(roles.get("id") or config["instanceIDField"])
        self._state_field = str(roles.get("state") or "state")
        self._states = frozenset(filter(None, str(config.get("stateFilter") or "").split(",")))

    async def start(self, seed: list[Json]) -> None:
        """Load what is stored, then add what the seed has beyond it."""
        if self._store is not None:
            self._items |= await self._store.load(_TABLE, self._kind)
        for each in seed:
            id = str(each.get("id") or (each.get("data") or {}).get("id") or uuid.uuid4())
            if id not in self._items:
                data = each.get("data", {k: v for k, v in each.items() if k != "state"})
                await self._save(self._made(id, data, str(each.get("state") or "active")))

    async def handle(self, request: Request) -> Response:
        """Answer a request by its method and the parameters of its route."""
        id, action = self._target(request)
        if id is None:
            if request.method in ("GET", "HEAD"):
                return self._list(request)
            if request.method == "POST":
                return await self._create(request)
        elif action:
            return await self._act(request, id, action)
        elif request.method in ("GET", "HEAD"):
            return self._get(request, id)
        elif request.method in ("PUT", "PATCH"):
            return await self._update(request, id)
        elif request.method == "DELETE":
            return await self._delete(request, id)
        raise HttpProblem(405, "METHOD_NOT_ALLOWED", f"{request.method} is not served here")

    def _target(self, request: Request) -> tuple[str | None, str]:
        """Return the id and the action of a path: `/orders/{id}/cancel`."""
        if not request.params:
            return None, ""
        id = request.params.get("id", next(iter(request.params.values())))
        template = request.route.rstrip("/").split("/")
        last = template[-1]
        return id, "" if last.startswith("{") else last

    def _list(self, request: Request) -> Response:
        query = request.query
        found = [each for each in self._items.values() if self._fits(each, query)]
        if sort := query.get("sort"):
            name, reverse = sort.lstrip("-"), sort.startswith("-")
            found.sort(key=lambda each: _sort_key(each, name), reverse=reverse)
        try:
            limit = min(int(query.get("limit", PAGE_DEFAULT)), PAGE_MAX)
            begin = int(query.get("cursor", 0))
        except ValueError:
            raise HttpProblem(400, "REQUEST_INVALID", "limit and cursor are numbers") from None
        if limit < 1 or begin < 0:
            raise HttpProblem(400, "REQUEST_INVALID", "limit and cursor are numbers from 1 and 0")
        headers = []
        if begin + limit < len(found):
            headers.append((b"x-next-cursor", str(begin + limit).encode()))
        return json_response(found[begin : begin + limit], 200, headers)

    def _fits(self, item: Resource, query: Mapping[str, str]) -> bool:
        if self._states and item["state"] not in self._states:
            return False
        for name, wanted in query.items():
            if name in _RESERVED:
                continue
            value = item.get(name) if name in ("id", "state") else item["data"].get(name)
            if value is None or _as_query(value) != wanted:
                return False
        return True

    def _existing(self, id: str) -> Resource:
        found = self._items.get(id)
        if found is None:
            raise HttpProblem(404, "RESOURCE_NOT_FOUND", f"{self._kind} has no {id[:80]!r}")
        return found

    def _get(self, request: Request, id: str) -> Response:
        item = self._existing(id)
        tag = _tag(item)
        if request.header(b"if-none-match") == tag.decode():
            return Response(304, headers=[(b"etag", tag)], content_type=b"")
        return json_response(item, 200, [(b"etag", tag)])

    async def _create(self, request: Request) -> Response:
        key = request.header(b"idempotency-key")
        if key and (known := self._keys.get(key)) in self._items:
            return json_response(self._items[str(known)], 201)
        data = self._data(request)
        id = str(data.get(self._id_field) or data.get("id") or uuid.uuid4())
        if not _ID.match(id):
            text = "an id has up to 200 letters, digits and . _ : @ -"
            raise HttpProblem(422, "VALIDATION_FAILED", text)
        if id in self._items:
            raise HttpProblem(409, "RESOURCE_EXISTS", f"{self._kind} has {id!r} already")
        if len(self._items) >= RESOURCES_MAX:
            raise HttpProblem(503, "RESOURCES_FULL", f"there are {RESOURCES_MAX} {self._kind}")
        item = self._made(id, data, str(data.get(self._state_field) or "new"))
        # Reserved before the write, so that two requests at once cannot both create it.
        self._items[id] = item
        try:
            await self._save(item)
            await self._open(item)
        except BaseException:
            self._items.pop(id, None)
            raise
        if key:
            self._keys[key] = id
            if len(self._keys) > KEYS_MAX:
                self._keys.popitem(last=False)
        await self._announce("created", self._items[id])
        location = f"{request.path.rstrip('/')}/{id}".encode()
        return json_response(self._items[id], 201, [(b"location", location)])

    async def _update(self, request: Request, id: str) -> Response:
        item = self._existing(id)
        wanted = request.header(b"if-match")
        if wanted and wanted not in ("*", _tag(item).decode()):
            raise HttpProblem(412, "RESOURCE_CHANGED", "the resource has changed since it was read")
        given = self._data(request, partial=True)
        data = {**item["data"], **given}
        self._check(data)
        state = str(given.get(self._state_field) or item["state"])
        changed = self._made(id, data, state)
        await self._save(changed)
        await self._announce("updated", changed)
        return json_response(changed, 200, [(b"etag", _tag(changed))])

    async def _delete(self, request: Request, id: str) -> Response:
        item = self._existing(id)
        if self._store is not None:
            await self._store.delete(_TABLE, self._kind, id)
        self._items.pop(id, None)
        await self._announce("deleted", item)
        return Response(204, content_type=b"")

    async def _act(self, request: Request, id: str, action: str) -> Response:
        item = self._existing(id)
        if action == "summary" and request.method in ("GET", "HEAD"):
            names = self._summary or list(item["data"])
            fields = {name: item["data"].get(name) for name in names}
            return json_response({"id": id, "state": item["state"], **fields})
        body = request.json() if request.body else {}
        if not isinstance(body, dict):
            raise HttpProblem(400, "JSON_INVALID", "the body must be a JSON object")
        name = (
            body.get("transition")
            if action == "transition"
            else self._transitions.get(action, action)
        )
        if not isinstance(name, str) or not name:
            raise HttpProblem(422, "VALIDATION_FAILED", "transition is missing")
        machine = self._machine() if self._machine is not None else None
        if machine is None:
            text = f"{self._kind} has no state machine, so there is no transition {name!r}"
            raise HttpProblem(501, "NOT_IMPLEMENTED", text)
        data = body.get("data", body if action != "transition" else {})
        state = await machine.fire(
            workflow=self._workflow,
            instance=self._instance(id),
            transition=name,
            data=data,
        )
        # The listener has put the change into the resource; hooks may have gone further since.
        changed = self._items.get(id, self._made(id, {**item["data"], **data}, state))
        await self._save(changed)
        body = {
            "success": True,
            "id": id,
            "instanceId": self._instance(id),
            "transition": name,
            "state": state,
            "resource": self._items.get(id, changed),
        }
        return json_response(body)

    async def _open(self, item: Resource) -> None:
        """Open the instance of a new resource, where it has a machine."""
        machine = self._machine() if self._machine is not None and self._workflow else None
        if machine is None:
            return
        state = await machine.open(
            workflow=self._workflow, instance=self._instance(item["id"]), data=item["data"]
        )
        if self._first:
            state = await machine.fire(
                workflow=self._workflow,
                instance=self._instance(item["id"]),
                transition=self._first,
                data={},
            )
        if self._items.get(item["id"]) is item:
            await self._save(self._made(item["id"], item["data"], state))

    def changed(self, instance: Any, data: Mapping[str, Json]) -> str:
        """Take the state of an instance over to its resource; return the id, "" if none."""
        prefix = self._prefix
        if instance.workflow != self._workflow:
            return ""
        item = next(
            (
                f
                for id in (instance.id.removeprefix(prefix), instance.id)
                if (f := self._items.get(id)) is not None
            ),
            None,
        )
        if item is None:
            return ""
        kept = {key: value for key, value in data.items() if key not in ("id", "state")}
        self._items[item["id"]] = self._made(item["id"], {**item["data"], **kept}, instance.state)
        return str(item["id"])

    async def reconcile(self, machine: Any) -> None:
        """Open the instances that a crash left out, and take over states of a restart."""
        for item in list(self._items.values()):
            found = await machine.store.get(self._instance(item["id"]))
            if found is None and item["state"] == "new":
                await self._open(item)
            elif found is not None and found.state != item["state"]:
                self.changed(found, {})
                await self.save(item["id"])

    async def save(self, id: str) -> None:
        """Store a resource as it is now."""
        if (item := self._items.get(id)) is not None:
            await self._save(item)

    def _instance(self, id: str) -> str:
        prefix = self._prefix
        return id if id.startswith(prefix) else prefix + id

    def _data(self, request: Request, *, partial: bool = False) -> dict[str, Json]:
        body = request.json()
        if not isinstance(body, dict):
            raise HttpProblem(400, "JSON_INVALID", "the body must be a JSON object")
        data = body["data"] if set(body) <= {"id", "data", "state"} and "data" in body else body
        if not isinstance(data, dict):
            raise HttpProblem(422, "VALIDATION_FAILED", "data must be an object")
        extra = {k: body[k] for k in ("id", "state") if data is not body and k in body}
        data = {**data, **extra}
        if not partial:
            self._check(data)
        return data

    def _check(self, data: Mapping[str, Json]) -> None:
        found = violations_of(self._validator, data) if self._validator is not None else []
        if found:
            text = f"{len(found)} of the values do not fit the schema"
            raise HttpProblem(422, "VALIDATION_FAILED", text, violations=found)

    def _made(self, id: str, data: Mapping[str, Json], state: str) -> Resource:
        moment = self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        kept = {key: value for key, value in data.items() if key != self._state_field}
        return {"id": id, "data": kept, "state": state, "lastUpdate": moment}

    async def _save(self, item: Resource) -> None:
        if self._store is not None:
            await self._store.put(_TABLE, self._kind, item["id"], item)
        self._items[item["id"]] = item

    async def _announce(self, what: str, item: Resource) -> None:
        topic = f"{self._kind}-events"
        await self._publish(topic, {"type": f"{self._kind}.{what}", **item})


def _tag(item: Resource) -> bytes:
    digest = hashlib.blake2b(orjson.dumps(item), digest_size=8).hexdigest()
    return f'"{digest}"'.encode()


def _as_query(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _sort_key(item: Resource, name: str) -> tuple[int, Json]:
    value = item.get(name) if name in ("id", "state", "lastUpdate") else item["data"].get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, value)
    return (1, str(value)) if value is not None else (2, "")


def resource(setting: Setting) -> Module:
    """Build api.handler. Raises Invalid for a wrong schema."""
    config = setting.config
    registry = setting.context.registry
    engine = str(config.get("workflowEngine") or "")
    broker = str(config.get("broker") or "")

    async def publish(topic: str, event: Json) -> None:
        found = registry.get(BROKER, broker)
        if found is not None:
            await found.publish(topic, event, key=str(event["id"]), headers={})

    kind = str(config.get("sourceResourceName") or config["resourceName"])
    items = registry.get(COLLECTION, kind)
    if items is None:
        items = {}
        registry.put(COLLECTION, kind, items)
    for role in config.get("fieldMapping") or {}:
        if role not in _ROLES:
            raise setting.invalid(f"fieldMapping has the roles {', '.join(_ROLES)}, not {role!r}")
    resources = Resources(
        name=kind,
        items=items,
        store=setting.partner(STORE),
        config=config,
        machine=(lambda: registry.get(MACHINE, engine)) if engine else None,
        publish=publish,
        validator=_validator(setting, config.get("schema")),
    )
    seed = str(config.get("seedFile") or "")

    async def start() -> None:
        await resources.start(read_seed(setting, seed) if seed else [])

    services: dict[str, Any] = {"Handler": resources.handle, "Resources": resources}
    if engine and config.get("workflowType"):
        services["Consumer"] = StatesConsumer(resources, lambda: registry.get(MACHINE, engine))
    return Module(name=setting.name, services=services, start=start)


class StatesConsumer:
    """Keeps the states of resources at those of their machines while the application runs."""

    def __init__(self, resources: Resources, machine: Callable[[], Any]) -> None:
        self._resources = resources
        self._find = machine
        self._saving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        machine = self._find()
        if machine is not None:
            machine.listen(self._changed)
            await self._resources.reconcile(machine)

    async def close(self) -> None:
        if self._saving:
            await asyncio.wait(self._saving, timeout=SAVE_S)

    def _changed(self, instance: Any, change: Any) -> None:
        id = self._resources.changed(instance, change.data)
        if id:
            task = asyncio.create_task(self._resources.save(id))
            self._saving.add(task)
            task.add_done_callback(self._saving.discard)


def _validator(setting: Setting, schema: Json) -> Any:
    if schema is None:
        return None
    return validator_of(schema, f"{setting.name}: schema")
