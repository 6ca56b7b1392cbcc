"""`flowmesh serve`: some services in this process, with servers elsewhere."""

from collections.abc import Sequence

from flowmesh.runtime import Settings, StartError, run_services
from flowmesh.runtime.access import CLOSED
from flowmesh.suite.services import CORE, load


async def run_serve(settings: Settings, names: Sequence[str]) -> None:
    """Run the services until a signal. Raises StartError if a setting is missing."""
    if not names:
        raise StartError(f"say which services to serve: {', '.join(CORE)}")
    for name in ("postgres", "nats", "redis"):
        if not getattr(settings, name):
            raise StartError(f"no {name} address; set FLOWMESH_{name.upper()} or pass --{name}")
    if "registry" not in names and not settings.registry and set(names) != set(CORE):
        raise StartError(
            "no registry address; set FLOWMESH_REGISTRY or pass --registry host:port,"
            " or serve the registry in this process"
        )
    if _lacks_identity(settings, names):
        raise StartError(
            "services of a closed installation in several processes prove themselves by"
            " certificates: issue them with `flowmesh certs` and pass --certs; on one machine,"
            " FLOWMESH_INTERNAL_DIR names a private folder for their sockets instead"
        )
    await run_services(settings, load(names))


def _lacks_identity(settings: Settings, names: Sequence[str]) -> bool:
    """Return whether other processes could not tell the services of this one from a stranger."""
    is_alone = set(names) == set(CORE) and not settings.registry
    has_identity = settings.certs or settings.internal_dir
    return settings.auth == CLOSED and not has_identity and not is_alone
