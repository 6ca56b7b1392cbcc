"""State machines, their tracker and connector, and processing steps."""

import asyncio
import time
from collections.abc import Callable, Mapping

import orjson

from flowmesh.apps.data.database import Database
from flowmesh.apps.data.locks import LocalLocks, PostgresLocks, RedisLocks
from flowmesh.apps.data.statements import own_statement
from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.machines.engine import Hook, HookEvent, MachineEngine, Next, names_of
from flowmesh.apps.machines.store import MachineStore
from flowmesh.apps.messaging.messages import reason_of
from flowmesh.apps.modules.databases import STORE
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.apps.pipeline.run import Run
from flowmesh.apps.pipeline.templates import Compiling, as_text, compile_text
from flowmesh.apps.wiring.ports import COMPONENT, DATABASE, MACHINE
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry
from flowmesh.jsontext.integers import is_whole

DAY_S = 86_400.0
HISTORY_MAX = 1_000
_CLEAN_EVERY = 1_000


def engine(setting: Setting) -> Module:
    """Build statemachine.engine; without a store its instances end with the process."""
    config = setting.config
    store = setting.partner(STORE)
    own: Database | None = None
    if store is not None:
        database = store.database
    else:
        from flowmesh.apps.data.sqlite import SqliteDatabase

        own = SqliteDatabase(name=setting.name, path=":memory:", folder=setting.context.folder)
        database = own
    locks = _locks(setting, database)
    made = MachineEngine(
        name=setting.name,
        store=MachineStore(machine=setting.name, database=database),
        locks=locks,
        instances_max=int(config["maxInstances"]),
        ended_kept_s=float(config.get("instanceTTL") or 0.0),
        log=setting.log,
        now=setting.context.clock.now,
    )

    async def start() -> None:
        if own is not None:
            await own.start()
        await made.start()

    async def stop() -> None:
        await locks.stop()
        if own is not None:
            await own.stop()

    return Module(
        name=setting.name,
        services={"Machine": made, "Consumer": EffectsConsumer(made)},
        start=start,
        stop=stop,
        health=database.health,
        mount=_dead_letters(setting, made),
    )


def _locks(setting: Setting, database: Database) -> LocalLocks | PostgresLocks | RedisLocks:
    """Return the locks in Redis where it is named, else those of the database."""
    from flowmesh.apps.data.postgres import PostgresDatabase

    password = str(setting.config.get("redisPassword") or "")
    if url := str(setting.config.get("redisURL") or ""):
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise setting.invalid("redisURL begins with redis://, rediss:// or unix://")
        return RedisLocks(name=setting.name, url=url, password=password)
    if password:
        raise setting.invalid("redisPassword needs a redisURL")
    if isinstance(database, PostgresDatabase):
        return PostgresLocks(name=setting.name, dsn=database.dsn)
    return LocalLocks()


class EffectsConsumer:
    """The effects of an engine, which run between the start and the stop of consumers."""

    def __init__(self, engine: MachineEngine) -> None:
        self._engine = engine

    async def open(self) -> None:
        await self._engine.open_effects()

    async def close(self) -> None:
        await self._engine.close()


def _dead_letters(setting: Setting, made: MachineEngine) -> Callable[[Mounts], None] | None:
    """Serve instances, and effects that failed for good, where `adminPath` is given."""
    path = str(setting.config.get("adminPath") or "").rstrip("/")
    if not path:
        return None

    async def instances(request: Request) -> Response:
        query = request.query
        found = await made.store.instances(
            workflow=query.get("workflow", ""), state=query.get("state", ""), limit=1_000
        )
        return json_response({"instances": [each.document() for each in found]})

    async def orphans(_request: Request) -> Response:
        found = await made.orphans()
        return json_response({"instances": [each.document() for each in found]})

    async def one(request: Request) -> Response:
        found = await made.get(request.params["id"])
        history = await made.store.history(found.id)
        return json_response({**found.document(), "history": [e.document() for e in history]})

    async def dead(_request: Request) -> Response:
        found = await made.store.dead()
        letters = [
            {"seq": e.seq, "instance": e.id, "kind": e.kind, "name": e.name, "reason": e.reason}
            for e in found
        ]
        return json_response({"deadLetters": letters})

    async def revive(request: Request) -> Response:
        number = request.params["seq"]
        if not is_whole(number) or not await made.revive(int(number)):
            text = f"{setting.name} has no dead letter {number[:40]!r}"
            raise HttpProblem(404, "DEAD_LETTER_NOT_FOUND", text)
        return json_response({"retried": True}, 202)

    routes = {
        ("GET", f"{path}/instances"): instances,
        ("GET", f"{path}/orphans"): orphans,
        ("GET", f"{path}/instances/{{id}}"): one,
        ("GET", f"{path}/dead-letters"): dead,
        ("POST", f"{path}/dead-letters/{{seq}}/retry"): revive,
    }

    def mount(mounts: Mounts) -> None:
        only = setting.context.operators()
        for each in mounts.servers()[:1]:
            for (method, route), handle in routes.items():
                each.add(method, route, handle, middlewares=(only,))

    return mount


class StateTracker:
    """The last state of resources and their changes, in memory or in a database."""

    def __init__(
        self, *, database: Database | None, days: float, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._days = days
        self._now = now
        self._memory: dict[tuple[str, str], list[dict[str, Json]]] = {}
        self._written = 0

    async def start(self) -> None:
        """Create the table."""
        if self._database is not None:
            columns = (
                "(type TEXT NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL, at DOUBLE PRECISION "
                "NOT NULL, body TEXT NOT NULL, PRIMARY KEY (type, id, version))"
            )
            await self._database.script([f"CREATE TABLE IF NOT EXISTS tracked_states {columns}"])

    async def record(self, kind: str, id: str, version: str, body: Mapping[str, Json]) -> None:
        """Record a change; one of the same version is recorded once."""
        entry = {"type": kind, "id": id, "version": version, "at": self._now(), **body}
        if self._database is None:
            found = self._memory.setdefault((kind, id), [])
            if all(each["version"] != version for each in found):
                found.append(entry)
                del found[:-HISTORY_MAX]
            return
        text = (
            "INSERT INTO tracked_states (type, id, version, at, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (type, id, version) DO NOTHING"
        )
        row = (kind, id, version, entry["at"], orjson.dumps(entry).decode())
        await self._database.execute(own_statement(text, self._database.dialect), row)
        self._written += 1
        if self._written % _CLEAN_EVERY == 1:
            await self._clean()

    async def history(self, kind: str, id: str) -> list[Json]:
        """Return the changes of a resource, the last one last."""
        oldest = self._now() - self._days * DAY_S
        if self._database is None:
            return [e for e in self._memory.get((kind, id), []) if e["at"] >= oldest]
        text = (
            "SELECT body FROM tracked_states WHERE type = ? AND id = ? AND at >= ? "
            "ORDER BY at DESC, version DESC LIMIT 1000"
        )
        statement = own_statement(text, self._database.dialect)
        rows = self._database.query(statement, (kind, id, oldest))
        found = rows if isinstance(rows, list) else await rows
        return [orjson.loads(each["body"]) for each in reversed(found)]

    async def track(self, event: HookEvent) -> None:
        """Record the change of an instance."""
        body = {
            "state": event.target,
            "fromState": event.source,
            "transition": event.transition,
            "data": dict(event.data),
        }
        version = f"{event.version:012d}"
        await self.record(event.workflow, event.instance, version, body)

    async def _clean(self) -> None:
        assert self._database is not None
        statement = own_statement("DELETE FROM tracked_states WHERE at < ?", self._database.dialect)
        await self._database.execute(statement, (self._now() - self._days * DAY_S,))


class TrackerComponent:
    """`step.delegate` on a tracker: operation `record` or `history`."""

    def __init__(self, tracker: StateTracker) -> None:
        self._tracker = tracker

    async def call(self, operation: str, value: Json) -> Json:
        given = value if isinstance(value, dict) else {}
        kind, id = str(given.get("type") or ""), str(given.get("id") or "")
        if not kind or not id:
            raise HttpProblem(422, "VALIDATION_FAILED", "a tracked state needs a type and an id")
        if operation == "history":
            return {"history": await self._tracker.history(kind, id)}
        if operation not in ("", "record"):
            text = f"a tracker has the operations record and history, not {operation!r}"
            raise HttpProblem(422, "VALIDATION_FAILED", text)
        version = f"{time.time_ns():020d}"
        body = {key: value for key, value in given.items() if key not in ("type", "id")}
        await self._tracker.record(kind, id, version, body)
        return {"recorded": True}


def tracker(setting: Setting) -> Module:
    """Build state.tracker."""
    made = StateTracker(
        database=setting.partner(DATABASE),
        days=float(setting.config["retentionDays"]),
        now=setting.context.clock.now,
    )

    async def handle(request: Request) -> Response:
        kind, id = request.params.get("type", ""), request.params.get("id", "")
        history = await made.history(kind, id)
        if not history:
            text = f"no state of {kind[:80]!r} {id[:80]!r} is recorded"
            raise HttpProblem(404, "STATE_NOT_FOUND", text)
        whole = request.route.endswith("/history")
        return json_response({"history": history} if whole else history[-1])

    def mount(mounts: Mounts) -> None:
        for each in mounts.servers()[:1]:
            each.add("GET", "/state/{type}/{id}", handle)
            each.add("GET", "/state/{type}/{id}/history", handle)

    async def tracked(event: HookEvent) -> None:
        await made.track(event)

    return Module(
        name=setting.name,
        services={
            "Handler": handle,
            "Component": TrackerComponent(made),
            "MachineHooks": lambda: [Hook(name=f"tracker:{setting.name}", run=tracked)],
        },
        start=made.start,
        mount=mount,
    )


def connector(setting: Setting) -> Module:
    """Build state.connector: a change of one machine fires a transition of another."""
    links = setting.config.get("links") or ()
    for index, each in enumerate(links):
        source, target = each.get("from"), each.get("to")
        if not isinstance(source, dict) or not isinstance(target, dict):
            raise setting.invalid(f"links[{index}] needs from and to, objects")
        if not target.get("machine") or not target.get("transition"):
            raise setting.invalid(f"links[{index}].to needs a machine and a transition")
        if not source.get("machine") or not (source.get("state") or source.get("transition")):
            raise setting.invalid(f"links[{index}].from needs a machine, and a state or transition")
    made = [_link(setting, index, each) for index, each in enumerate(links)]
    mappings = {
        str(each.get("resourceType")): each for each in setting.config.get("mappings") or ()
    }
    services = {"MachineLinks": lambda: made, "ResourceMappings": mappings}
    return Module(name=setting.name, services=services)


def _link(setting: Setting, index: int, raw: Mapping[str, Json]) -> tuple[str, Hook]:
    """Return the machine of a link and its hook."""
    source, target = raw["from"], raw["to"]
    name = f"connector:{setting.name}:{index}"
    find = setting.later(MACHINE, str(target["machine"]))
    compiling = Compiling(steps=[], strict=False)
    template = str(target.get("instance") or "")
    render = compile_text(template, compiling) if "{{" in template else None
    if compiling.problems:
        raise setting.invalid(f"links[{index}].to.instance: {compiling.problems[0]}")

    def instance_of(event: HookEvent) -> str:
        if render is not None:
            return as_text(render(Run({**event.data, "instanceId": event.instance})))
        return str(event.data.get(template) or "") if template else event.instance

    async def run(event: HookEvent) -> None:
        id = instance_of(event)
        if not id:
            text = f"{event.instance} lacks {template!r}, the id of the instance to drive"
            raise HttpProblem(422, "INSTANCE_UNNAMED", text)
        transition = str(target["transition"])
        cause = f"{event.key}>{name}"
        await find().fire_once(id, transition, dict(target.get("data") or {}), cause=cause)

    hook = Hook(
        name=name,
        run=run,
        workflow=str(source.get("workflow") or ""),
        transitions=names_of(source.get("transition")),
        targets=names_of(source.get("state")),
    )
    return str(source["machine"]), hook


def processing_step(setting: Setting) -> Module:
    """Build processing.step: a component, then the success or the compensate transition."""
    config = setting.config
    find = setting.later(COMPONENT, str(config["componentId"]))
    initial_s = float(config["retryBackoffMs"]) / 1_000
    retry = Retry(attempts=int(config["maxRetries"]) + 1, initial_s=initial_s)
    timeout_s = float(config["timeoutSeconds"]) or None
    success = str(config.get("successTransition") or "")
    compensate = str(config.get("compensateTransition") or "")

    async def run(event: HookEvent) -> Next | None:
        error: Exception | None = None
        for attempt, pause in enumerate((0, *retry.delays())):
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(timeout_s):
                    result = await find().call("", event.document())
                data = result if isinstance(result, dict) else {"result": result}
                return Next(success, data)
            except Exception as failure:  # noqa: BLE001 - counted, then compensated
                error = failure
                text = f"{config['componentId']} failed: {reason_of(failure)}"
                setting.log("warn", text, instance=event.instance, attempt=attempt + 1)
        if compensate:
            assert error is not None
            return Next(compensate, {"error": reason_of(error)})
        assert error is not None
        raise error

    async def handle(request: Request) -> Response:
        body = request.json()
        data = body if isinstance(body, dict) else {}
        event = HookEvent("", str(data.get("id") or ""), "", "", "", data, 0, request.id)
        found = await run(event)
        data = dict(found.data) if found is not None else {}
        return json_response({"transition": found.transition if found else "", "data": data})

    return Module(name=setting.name, services={"HookStep": run, "Handler": handle})
