"""What tasks say of themselves, as the messages that say it."""

import pytest

from flowmesh.sdk.limits import HEARTBEAT_BYTES_MAX
from flowmesh.sdk.results import heartbeat_data


def test_details_of_a_heartbeat_are_bounded() -> None:
    """As many bytes as the limit says go, one more is refused."""
    assert len(heartbeat_data("x" * (HEARTBEAT_BYTES_MAX - 2))) == HEARTBEAT_BYTES_MAX
    with pytest.raises(ValueError, match="limited to 65536 bytes"):
        heartbeat_data("x" * (HEARTBEAT_BYTES_MAX - 1))
