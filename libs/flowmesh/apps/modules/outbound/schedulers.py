"""scheduler.modular: jobs at the times of cron expressions."""

from flowmesh.apps.data.database import Database
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.scheduling.scheduler import (
    MemoryPositions,
    Positions,
    Scheduler,
    StoredPositions,
)
from flowmesh.apps.wiring.ports import DATABASE


def scheduler(setting: Setting) -> Module:
    """Build scheduler.modular. Raises Invalid for a storage that is no database."""
    config = setting.config
    for key, options in (("catchUp", ("skip", "once", "all")), ("overlap", ("skip", "allow"))):
        if config[key] not in options:
            raise setting.invalid(f"{key} is {' or '.join(options)}, not {config[key]!r}")
    made = Scheduler(
        name=setting.name,
        positions=_positions(setting, str(config["storageType"])),
        log=setting.log,
        workers=int(config["workerCount"]),
        waiting_max=int(config["queueSize"]),
        check_s=max(float(config["checkInterval"]), 0.05),
        shutdown_s=float(config["shutdownTimeout"]),
        now_us=setting.context.clock.now_us,
    )
    return Module(
        name=setting.name,
        services={"Scheduler": made, "Consumer": made},
        start=made.start,
        stop=made.stop,
    )


def _positions(setting: Setting, storage: str) -> Positions:
    if storage == "memory":
        return MemoryPositions()
    named = setting.context.document.module(storage)
    found: Database | None = setting.partner(DATABASE)
    if storage != "database":
        found = setting.context.registry.get(DATABASE, storage)
    if found is None:
        what = f"{named.type} is no database" if named else "there is no such module"
        raise setting.invalid(f"storageType is memory, database or the name of a database; {what}")
    return StoredPositions(found, setting.name)
