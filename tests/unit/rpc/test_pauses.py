"""How long a stream that broke waits before it is opened again."""

from flowmesh.rpc import stream_retry_s


def test_a_stream_comes_back_soon_after_its_server_does() -> None:
    """Ten times a second at first; later after a tenth of the time more, at most a second."""
    at_s, tries = 0.0, 0
    while at_s < 2.5:
        pause_s = stream_retry_s(at_s)
        assert 0.1 <= pause_s <= max(0.1, at_s / 10)
        at_s, tries = at_s + pause_s, tries + 1
    assert tries <= 20
    assert stream_retry_s(3_600) == 1.0
