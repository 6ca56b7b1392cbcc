"""Jobs of an application: of scheduler workflows, schedule triggers, pipelines and sections."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flowmesh.apps.catalog import key_form, nearest_names
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument, TriggerSpec, WorkflowSpec
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.pipeline.starting import PIPELINE, run_with
from flowmesh.apps.runtime.receivers import as_message
from flowmesh.apps.scheduling.clock import Clock
from flowmesh.apps.scheduling.scheduler import Job, MemoryPositions, Scheduler
from flowmesh.apps.wiring.ports import CONSUMER, DURABLE_WORKFLOW, EMITTING, SCHEDULER, WORKFLOW
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json
from flowmesh.triggers.schedule import Schedule, ScheduleInvalid, check_zone

Run = Callable[[int], Awaitable[Any]]

_JOB_KEYS = ("scheduler", "job", "config")
_CRON_KEYS = ("cron", "schedule", "cronExpression", "cron_expression")


def add_jobs(document: AppDocument, registry: ServiceRegistry, log: LogHub, clock: Clock) -> None:
    """Give the schedulers their jobs; problems become findings."""
    jobs = _Jobs(document, registry, log, clock)
    for module in document.modules:
        if module.type == "scheduler.modular":
            jobs.section(module.name)
    for workflow in document.workflows:
        if workflow.kind == "scheduler":
            jobs.workflow(workflow)
    for trigger in document.triggers:
        if trigger.kind == "schedule":
            jobs.trigger(trigger)
    for pipeline in document.pipelines:
        if pipeline.trigger.get("type") == "schedule":
            raw = pipeline.trigger.get("config")
            config = raw if isinstance(raw, dict) else {}
            find = registry.later(PIPELINE, pipeline.name)
            run = _pipeline_run(find, pipeline.name)
            jobs.add(f"pipeline {pipeline.name}", config, run, pipeline.at / "trigger")


class _Jobs:
    def __init__(
        self, document: AppDocument, registry: ServiceRegistry, log: LogHub, clock: Clock
    ) -> None:
        self._document = document
        self._clock = clock
        self._findings = document.findings
        self._registry = registry
        self._log = log
        self._schedulers: dict[str, Scheduler] = registry.of_modules(SCHEDULER)

    def section(self, name: str) -> None:
        """Add the jobs in the configuration of a scheduler."""
        module = self._document.module(name)
        assert module is not None
        for index, raw in enumerate(module.config.get("jobs") or ()):
            at = module.at / "config" / "jobs" / index
            if raw.get("enabled") is False:
                continue
            job = str(raw.get("name") or f"job-{index + 1}")
            command = str(raw.get("command") or raw.get("handler") or raw.get("name") or "")
            run = self._handler_run(command, job, at)
            self.add(job, {**_given(module.config), **raw}, run, at, scheduler=name)

    def workflow(self, workflow: WorkflowSpec) -> None:
        """Add the jobs of a scheduler workflow."""
        for index, raw in enumerate(_objects(workflow.config.get("jobs"))):
            at = workflow.at / "jobs" / index
            name, job = str(raw.get("scheduler") or ""), str(raw.get("job") or "")
            for key in raw.keys() - set(_JOB_KEYS):
                message = f"a job has no key {key!r}{nearest_names(key, _JOB_KEYS)}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key)
            module = self._document.module(name)
            if name not in self._schedulers or module is None:
                near = nearest_names(name, self._schedulers)
                message = f"there is no scheduler {name!r}{near}"
                self._findings.error("SERVICE_UNKNOWN", message, at / "scheduler")
                continue
            if not job:
                message = "a job needs a handler, a component or a pipeline under the key job"
                self._findings.error("APP_INVALID", message, at)
                continue
            raw_config = raw.get("config")
            config = raw_config if isinstance(raw_config, dict) else {}
            run = self._handler_run(job, job, at, config.get("params"))
            given = {**_given(module.config), **config}
            self.add(job, given, run, at, scheduler=name)
        start = SchedulerWorkflow(self._schedulers)
        for each in ("scheduler", str(workflow.config.get("name") or "")):
            if each and self._registry.get(WORKFLOW, each) is None:
                self._registry.put(WORKFLOW, each, start)

    def trigger(self, trigger: TriggerSpec) -> None:
        """Add the job of a schedule trigger."""
        config = trigger.config
        params = config.get("params")
        given = params if isinstance(params, dict) else {}

        async def run(instant: int) -> None:
            workflow = self._registry.get(WORKFLOW, trigger.workflow)
            if workflow is None:
                text = f"there is no workflow {trigger.workflow!r}"
                raise HttpProblem(501, "NOT_IMPLEMENTED", text)
            data = {**_moment(instant), **given}
            durable = self._registry.get(DURABLE_WORKFLOW, trigger.workflow)
            if durable is not None:
                await durable.begin(trigger, data, str(instant))
            else:
                await workflow.start(trigger.action, data)

        name = f"trigger {trigger.workflow} {trigger.action}".rstrip()
        self.add(name, config, run, trigger.at, scheduler=str(config.get("scheduler") or ""))

    def add(
        self, name: str, config: Mapping[str, Json], run: Run, at: SourcePath, scheduler: str = ""
    ) -> None:
        """Add a job by the cron expression of its configuration."""
        forms = {key_form(key): value for key, value in config.items()}
        cron = next((forms[key_form(k)] for k in _CRON_KEYS if forms.get(key_form(k))), None)
        if cron is None:
            message = f"the job {name} needs a cron expression, such as '*/5 * * * *'"
            self._findings.error("SCHEDULE_INVALID", message, at)
            return
        zone = str(forms.get("timezone") or "")
        try:
            check_zone(zone)
            schedule = Schedule(str(cron), zone)
        except ScheduleInvalid as error:
            self._findings.error("SCHEDULE_INVALID", str(error), at)
            return
        catch_up: Any = str(forms.get("catchup") or "skip")
        overlap: Any = str(forms.get("overlap") or "skip")
        if catch_up not in ("skip", "once", "all") or overlap not in ("skip", "allow"):
            message = "catchUp is skip, once or all; overlap is skip or allow"
            self._findings.error("SCHEDULE_INVALID", message, at)
            return
        chosen = self._scheduler(scheduler)
        while name in chosen.jobs:
            name += " 2"
        job = Job(
            name=name,
            schedule=schedule,
            run=run,
            catch_up=catch_up,
            overlap=overlap,
        )
        chosen.add(job)

    def _scheduler(self, name: str) -> Scheduler:
        """Return the scheduler of a name, or the only one; else one of the host."""
        if name in self._schedulers:
            return self._schedulers[name]
        if len(self._schedulers) == 1:
            return next(iter(self._schedulers.values()))
        made = Scheduler(
            now_us=self._clock.now_us,
            name="triggers",
            positions=MemoryPositions(),
            log=lambda level, text, **fields: self._log.write(level, "triggers", text, **fields),
        )
        self._schedulers[""] = made
        self._registry.put(CONSUMER, "(triggers)", made)
        self._registry.put(SCHEDULER, "(triggers)", made)
        return made

    def _handler_run(self, name: str, job: str, at: SourcePath, params: Json = None) -> Run:
        known = {each.name for each in self._document.modules}
        if name not in known | {each.name for each in self._document.pipelines}:
            message = f"there is no handler {name!r}; its job fails"
            self._findings.warn("HANDLER_UNRESOLVED", message, at)
        given = params if isinstance(params, dict) else {}

        async def run(instant: int) -> None:
            receive = self._registry.get(EMITTING, name)
            value = {"job": job, **_moment(instant), **given}
            if receive is None:
                find = self._registry.get(PIPELINE, name)
                if find is None:
                    raise HttpProblem(501, "NOT_IMPLEMENTED", f"there is no handler {name!r}")
                await run_with(find, value, {"job": job})
                return
            await receive(as_message(f"jobs.{job}".replace(" ", "-"), value))

        return run


class SchedulerWorkflow:
    """Runs a job by its name, for triggers."""

    def __init__(self, schedulers: Mapping[str, Scheduler]) -> None:
        self._schedulers = schedulers

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        for each in self._schedulers.values():
            if action in each.jobs:
                await each.run_now(action)
                return {"job": action, "status": "done"}
        raise HttpProblem(404, "JOB_NOT_FOUND", f"there is no job {action[:80]!r}")


def _given(config: Mapping[str, Json]) -> dict[str, Json]:
    keys = ("cronExpression", "timezone", "catchUp", "overlap")
    return {key: config[key] for key in keys if config.get(key)}


def _pipeline_run(find: Callable[[], Any], name: str) -> Run:
    async def run(instant: int) -> None:
        await run_with(find(), _moment(instant), {"job": name})

    return run


def _moment(instant_us: int) -> dict[str, Json]:
    return {"scheduledAt": datetime.fromtimestamp(instant_us / 1e6, UTC).isoformat()}


def _objects(raw: Json) -> list[dict[str, Json]]:
    return [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []
