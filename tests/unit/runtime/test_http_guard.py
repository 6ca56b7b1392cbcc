"""Which hosts and origins the settings let in."""

import pytest
from pydantic import ValidationError

from flowmesh.runtime import Settings
from flowmesh.runtime.http.guard import guard_of


def reason(settings: Settings, host: str, origin: str | None = None) -> str:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    refused = guard_of(settings).refusal(headers)
    return refused.reason if refused else ""


def test_hosts_are_checked_only_where_they_are_set() -> None:
    """Behind a proxy, any name is fine until the setting lists some."""
    assert reason(Settings(), "flow.example.com") == ""
    listed = Settings(http_hosts="flow.example.com, other.example.com")
    assert reason(listed, "Flow.example.com:3000") == ""
    assert reason(listed, "10.0.0.7:3000") == ""
    assert reason(listed, "evil.example") == "HOST_NOT_ALLOWED"
    assert reason(Settings(http_hosts="*"), "evil.example") == ""


def test_the_own_address_and_the_public_url_pass() -> None:
    """Links name the public URL, so its pages may use the server, whatever host a proxy sets."""
    public = Settings(
        http_hosts="localhost", host="devbox", public_url="https://flow.example.com/flowmesh"
    )
    assert reason(public, "devbox:3000") == ""
    assert reason(public, "flow.example.com") == ""
    assert reason(public, "localhost:3000", "https://flow.example.com") == ""
    assert reason(public, "localhost:3000", "https://evil.example") == "ORIGIN_NOT_ALLOWED"


def test_origins_can_be_listed() -> None:
    """Scheme, host and port must be those of the list."""
    listed = Settings(http_origins="https://ui.example.com:8443/")
    assert reason(listed, "a", "https://ui.example.com:8443") == ""
    assert reason(listed, "a", "http://ui.example.com:8443") == "ORIGIN_NOT_ALLOWED"
    assert reason(listed, "a", "https://ui.example.com") == "ORIGIN_NOT_ALLOWED"
    assert reason(Settings(http_origins="*"), "a", "null") == ""


@pytest.mark.parametrize("name", ["http://a", "a:3000", "a b", "a/b"])
def test_a_host_is_a_bare_name(name: str) -> None:
    """A setting that would never match is refused at the start."""
    with pytest.raises(ValidationError, match="without scheme and port"):
        Settings(http_hosts=name)


@pytest.mark.parametrize("origin", ["a", "ftp://a", "https://a/path", "https://u@a"])
def test_an_origin_has_a_scheme_and_no_path(origin: str) -> None:
    """A setting that would never match is refused at the start."""
    with pytest.raises(ValidationError, match="is not an origin"):
        Settings(http_origins=origin)
