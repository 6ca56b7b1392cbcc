"""Every door that takes an address refuses one whose host cannot exist."""

from collections.abc import Callable

import pytest

from flowmesh.api.event.v1 import subscription_service_pb2
from flowmesh.apps.catalog.descriptor import address
from flowmesh.apps.catalog.values import convert
from flowmesh.apps.release_process.addresses import address_problem as hosted_problem
from flowmesh.apps.release_process.addresses import postgres_problem
from flowmesh.connectors.options import options_of
from flowmesh.egress import check_url
from flowmesh.errors import FlowmeshError
from flowmesh.event.notifications.checks import checked_subscription
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.rpc.channels import host_and_port
from flowmesh.rpc.endpoints import Address
from flowmesh.runtime import Settings
from flowmesh.sdk.transport.endpoint import Endpoint

HOSTS = ("xn--", "256.256.256.256", "a..example", "a" * 64 + ".example", "-a.example")


def subscribe(host: str) -> None:
    sink = subscription_service_pb2.WebhookSink(url=f"https://{host}/hook")
    checked_subscription(subscription_service_pb2.Subscription(subscription="s", webhook=sink))


def refuse(problem: str) -> None:
    if problem:
        raise ValueError(problem)


DOORS: dict[str, Callable[[str], object]] = {
    "http": lambda host: check_url(f"http://{host}:80/x"),
    "subscription": subscribe,
    "grpc task": lambda host: host_and_port(f"{host}:80"),
    "registered service": lambda host: Address.parse(f"http://{host}:80"),
    "connector": lambda host: options_of({"url": f"mqtt://u:p@{host}:1883"}, url=...),
    "module of an application": lambda host: convert(address("url", ""), f"http://{host}/x"),
    "hosted application": lambda host: refuse(hosted_problem(f"nats://{host}:4222")),
    "hosted database": lambda host: refuse(postgres_problem(f"postgresql://u@{host}/d")),
    "setting": lambda host: Settings(nats=f"nats://a:4222,nats://{host}:4222"),
    "client": lambda host: Endpoint.of(f"grpc://{host}:7450"),
    "client without a scheme": lambda host: Endpoint.of(f"{host}:7450"),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_refuses_hosts_that_cannot_exist(door: str) -> None:
    """The error is one for the caller; a good host passes the same door."""
    for host in HOSTS:
        with pytest.raises((FlowmeshError, TaskFailure, ValueError)) as caught:
            DOORS[door](host)
        assert not isinstance(caught.value, UnicodeError), host
    DOORS[door]("good.example")
