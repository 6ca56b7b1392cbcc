"""Settings: from the environment, overridden by flags, never changed afterwards."""

from typing import Any

import pytest

from flowmesh.runtime import Settings, unknown_variables


def test_flags_beat_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no flag says, the environment says; what neither says has a default."""
    monkeypatch.setenv("FLOWMESH_HTTP_PORT", "8080")
    monkeypatch.setenv("FLOWMESH_EGRESS", "open")
    settings = Settings(http_port=9090)
    assert (settings.http_port, settings.egress, settings.grpc_port) == (9090, "open", 7450)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grpc_port", 70_000),
        ("egress", "all"),
        ("bus_prefix", "a.b"),
        ("worker_slots", 0),
        ("advertise", "nonsense"),
        ("advertise", ":7450"),
        ("advertise", "localhost:99999999"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: Any) -> None:
    """A wrong setting is told at the start, by name."""
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})


def test_settings_do_not_change() -> None:
    """What was told at the start holds to the end."""
    settings = Settings()
    with pytest.raises(ValueError):
        settings.http_port = 1


def test_a_misspelled_variable_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with our prefix that nothing reads is most likely a mistake."""
    monkeypatch.setenv("FLOWMESH_POSTGRS", "x")
    monkeypatch.setenv("FLOWMESH_POSTGRES", "x")
    assert unknown_variables() == ["FLOWMESH_POSTGRS"]


def test_variables_of_the_client_commands_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two that clients read may stand in the environment of a server too."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", "127.0.0.1:7450")
    monkeypatch.setenv("FLOWMESH_NAMESPACE", "default")
    assert unknown_variables() == []


def test_networks_come_as_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces and empty places do not matter; what is no network is told by name."""
    monkeypatch.setenv("FLOWMESH_EGRESS_ALLOW", "10.0.0.0/8, fd00::/8,,192.0.2.7")
    assert Settings().egress_networks == ("10.0.0.0/8", "fd00::/8", "192.0.2.7")
    with pytest.raises(ValueError, match=r"egress_allow(.|\n)*10\.0\.0\.1/8 has host bits set"):
        Settings(egress_allow="10.0.0.1/8")


def test_types_and_queues_of_the_built_in_worker_come_as_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without them there is no name in either."""
    assert (Settings().builtin_task_types, Settings().builtin_queues) == ((), ())
    monkeypatch.setenv("FLOWMESH_WORKER_TASK_TYPES", "python, http.request,")
    monkeypatch.setenv("FLOWMESH_WORKER_QUEUES", "default,gpu")
    settings = Settings()
    assert settings.builtin_task_types == ("python", "http.request")
    assert settings.builtin_queues == ("default", "gpu")


def test_places_of_learned_routing_are_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace, or a queue of one; anything else is refused with the form that is right."""
    monkeypatch.setenv("FLOWMESH_LEARNED_ROUTING", "shop, labs/packing")
    assert Settings().learned_queues == ("shop", "labs/packing")
    monkeypatch.setenv("FLOWMESH_LEARNED_ROUTING", "shop,*")
    with pytest.raises(ValueError, match="write it as shop/packing"):
        Settings()


@pytest.mark.parametrize(
    "address",
    [
        "http://codec.example",
        "https://user@codec.example",
        "https://{namespace}.example",
        "https://codec.example?of={namespace}",
        "https://codec.example/{project}",
        "https://codec.example; script-src *",
    ],
)
def test_a_codec_server_is_an_origin_with_a_path(address: str) -> None:
    """Its origin becomes a part of the policy of pages."""
    for right in ("https://codec.example:8443/of/{namespace}/", "http://127.0.0.1:8090"):
        assert Settings(codec_server=right).codec_server == right
    with pytest.raises(ValueError, match="is no URL of a codec server"):
        Settings(codec_server=address)
