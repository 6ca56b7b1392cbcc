"""Durable runs of an application: the suite, the worker, and what starts runs."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flowmesh.apps.data.database import Database
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument
from flowmesh.apps.durable.names import digest_of, pipeline_digest
from flowmesh.apps.durable.suite import Suite
from flowmesh.apps.observing.hub import Hub
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.pipeline.program import Program
from flowmesh.apps.pipeline.starting import Pipeline
from flowmesh.apps.wiring.ports import DATABASE, DURABLE_AT, DURABLE_WORKFLOW, WORKFLOW, Port
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json

if TYPE_CHECKING:
    from flowmesh.apps.durable.runs import DurablePipeline
    from flowmesh.apps.durable.worker import RunWorker


class Durables:
    """Makes the durable forms of an application's pipelines and integrations.

    Nothing of the SDK is loaded, and no worker made, for an application without any.
    """

    def __init__(
        self,
        *,
        document: AppDocument,
        registry: ServiceRegistry,
        suite: Suite,
        hub: Hub,
        log: LogHub,
    ) -> None:
        self._document = document
        self._registry = registry
        self._suite = suite
        self._hub = hub
        self._log = log
        self._made: list[RunWorker] = []

    def pipelines(self, programs: Mapping[SourcePath, Program]) -> dict[SourcePath, Pipeline]:
        """Return the pipelines by place, the durable ones in their durable form."""
        found: dict[SourcePath, Pipeline] = dict(programs)
        specs = {each.name: each for each in self._document.pipelines}
        for spec in self._document.all_pipelines():
            if spec.durable:
                digest = pipeline_digest(spec, specs)
                program = programs[spec.at]
                made = self.durable(spec.name, digest, program, wait_s=spec.wait_s)
                found[spec.at] = made
                self._registry.put(DURABLE_AT, str(spec.at.keys), made)
        return found

    def durable(self, name: str, digest: str, work: Any, wait_s: float = 10.0) -> "DurablePipeline":
        """Return the durable form of a compiled pipeline or an integration."""
        from flowmesh.apps.durable.runs import DurablePipeline
        from flowmesh.apps.durable.worker import DurableWork

        app = self._document.name
        made = DurableWork(app=app, name=name, digest=digest, work=work)
        worker = self._worker()
        worker.add(made)
        return DurablePipeline(work=made, worker=worker, wait_s=wait_s)

    def digest(self, config: Mapping[str, Json]) -> str:
        """Return the digest of the configuration of an integration."""
        return digest_of(config)

    def workflows(self) -> None:
        """Offer the workflows of triggers that only the suite can have."""
        for trigger in self._document.triggers:
            name = trigger.workflow
            if not name or self._registry.get(WORKFLOW, name) is not None:
                continue
            from flowmesh.apps.durable.runs import SuiteWorkflow

            self._worker()
            workflow = SuiteWorkflow(name, app=self._document.name, suite=self._suite)
            self._registry.put(WORKFLOW, name, workflow)
            self._registry.put(DURABLE_WORKFLOW, name, workflow)

    def _worker(self) -> "RunWorker":
        if not self._made:
            from flowmesh.apps.durable.worker import RunWorker

            worker = RunWorker(
                app=self._document.name,
                suite=self._suite,
                databases=self._databases,
                log=self._log,
                observer=self._hub,
            )
            self._made.append(worker)
            self._registry.put(RUN_WORKER, "", worker)
        return self._made[0]

    def _databases(self) -> list[Database]:
        """Return the databases that steps and connectors name."""
        raws: list[Json] = [each.config for each in self._document.workflows]
        for pipeline in self._document.all_pipelines():
            raws += [each.config for each in (*pipeline.steps, *pipeline.compensation)]
        names = {name for raw in raws for name in _named(raw)}
        found = [self._registry.get(DATABASE, name) for name in sorted(names)]
        return list({id(each): each for each in found if each is not None}.values())


def _named(raw: Json) -> Iterator[str]:
    """Yield the databases that a configuration names, at any depth."""
    if isinstance(raw, Mapping):
        name = raw.get("database")
        if isinstance(name, str):
            yield name
        for each in raw.values():
            yield from _named(each)
    elif isinstance(raw, list):
        for each in raw:
            yield from _named(each)


RUN_WORKER: "Port[RunWorker]" = Port("RunWorker")
