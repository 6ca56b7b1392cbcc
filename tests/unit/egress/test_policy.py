"""Which addresses the public policy admits."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from flowmesh.egress import LINK_LOCAL, OPEN, PUBLIC, Policy

INSIDE = [
    "::ffff:0:127.0.0.1",
    "::ffff:0:10.0.0.1",
    "168.63.129.16",
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.0.0.5",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::a9fe:a9fe",
    "::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "2002:7f00:1::1",
    "2001::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "not an address",
    "",
]
OUTSIDE = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_leads_inside_is_denied(address: str) -> None:
    """Private, local, reserved, multicast, and every form that carries such an address."""
    assert not PUBLIC.admits(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_are_admitted(address: str) -> None:
    """Public unicast is what steps are for."""
    assert PUBLIC.admits(address)


@pytest.mark.parametrize("address", INSIDE)
def test_the_open_policy_admits_everything(address: str) -> None:
    """`flowmesh dev` lets steps call loopback."""
    assert OPEN.admits(address)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "no number"]
)
def test_refused_networks_are_not_admitted(address: str) -> None:
    """Refused networks take precedence over allowed ones."""
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    for policy in (OPEN, Policy(public_only=True, allowed=everything)):
        refusing = replace(policy, refused=LINK_LOCAL)
        assert not refusing.admits(address)
        assert refusing.admits("127.0.0.1")


def test_listed_networks_are_admitted() -> None:
    """An operator may list private networks; their neighbours stay denied."""
    policy = Policy.named("public", ("10.1.0.0/16",))
    assert policy.admits("10.1.2.3")
    assert policy.admits("::ffff:10.1.2.3")
    assert not policy.admits("10.2.0.1")


def test_an_unknown_policy_is_refused() -> None:
    """A misspelled setting must not mean `open`."""
    with pytest.raises(ValueError, match="neither open nor public"):
        Policy.named("pubic")
