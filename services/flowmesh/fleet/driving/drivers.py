"""The driver of the settings, with its isolation."""

from pathlib import Path

from flowmesh.extras import needed_by
from flowmesh.fleet.driving.credentials import Credentials
from flowmesh.fleet.driving.driver import Driver
from flowmesh.fleet.driving.isolation import WORDS, IsolationRules, PodIsolation
from flowmesh.fleet.driving.process_driver import ProcessDriver
from flowmesh.runtime import Runtime


def driver_of(runtime: Runtime, credentials: Credentials) -> tuple[Driver, IsolationRules]:
    """Return the driver. Raises StartError for pods outside of a cluster."""
    settings = runtime.settings
    least = settings.agent_isolation
    if least == "auto":
        least = "none" if runtime.keys is None else "sandbox"
    rules = PodIsolation if settings.agent_driver == "kubernetes" else IsolationRules
    isolation = rules(least=WORDS[least], egress=settings.egress, allowed=settings.egress_networks)
    if settings.agent_driver == "kubernetes":
        with needed_by("a fleet of pods", "k8s"):
            from flowmesh.fleet.driving.pod_driver import PodDriver, cluster_client
        client = cluster_client(settings.kubernetes_namespace)
        return PodDriver(client=client, credentials=credentials, settings=settings), isolation
    driver = ProcessDriver(
        data_dir=Path(settings.data_dir).absolute(),
        credentials=credentials,
        isolation=isolation,
        log=runtime.log,
    )
    return driver, isolation
