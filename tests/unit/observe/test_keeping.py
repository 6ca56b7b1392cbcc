"""The notice that the store refuses signals."""

import structlog
from structlog.testing import capture_logs

from flowmesh.observe.keeping import Keeping

BEGIN_US = 1_700_000_000_000_000
# Without a refusal for so long the store takes signals again.
QUIET_US = 20_000_000


def test_refusals_are_two_lines_of_the_log() -> None:
    """A batch that fits meanwhile ends nothing; the end is a while after the last refusal."""
    now = [BEGIN_US]
    with capture_logs() as lines:
        keeping = Keeping(now_us=lambda: now[0], log=structlog.get_logger())
        keeping.stored()
        for _ in range(3):
            keeping.refused(OSError("full"))
            now[0] += QUIET_US - 1
            keeping.stored()
            assert keeping.not_kept_since_us == BEGIN_US
        now[0] += 1
        keeping.stored()
        keeping.stored()
    assert keeping.not_kept_since_us == 0
    assert [each["event"] for each in lines] == ["signals_not_kept", "signals_kept_again"]
    assert lines[0]["problem"] == "OSError: full"
    assert lines[1]["after_s"] == 3 * (QUIET_US - 1) // 1_000_000


def test_the_end_of_refusals_tells_their_seconds() -> None:
    """Also after days in which the store was sent nothing."""
    now = [BEGIN_US]
    with capture_logs() as lines:
        keeping = Keeping(now_us=lambda: now[0], log=structlog.get_logger())
        keeping.refused(OSError("full"))
        now[0] += 20 * 86_400_000_000
        keeping.stored()
    assert lines[1]["after_s"] == 20 * 86_400
