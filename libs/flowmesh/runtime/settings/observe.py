"""Settings of kept signals."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from flowmesh.runtime.settings.types import AbsolutePath, Server

_PLACE: Final = re.compile(r"(?:[^\s/?#@:]+|\[[0-9a-fA-F:]+\]):([0-9]{1,5})")
_PORT_MAX: Final = 65_535


def _check_place(place: str) -> str:
    found = _PLACE.fullmatch(place)
    if place and (found is None or not 0 < int(found[1]) <= _PORT_MAX):
        raise ValueError(f"{place!r} is no address; write it as host:port")
    return place


class ObserveSettings(BaseSettings):
    """Settings of kept signals: switch, retention and size; and of their export."""

    observe: bool = Field(
        default=True,
        description="keep metrics, logs and slow calls of services, as docs/observe.md describes",
    )
    observe_slow_ms: float = Field(
        default=500, gt=0, description="duration in milliseconds from which a call is kept as slow"
    )
    observe_days: int = Field(default=15, ge=1, le=90, description="days of metrics by the minute")
    observe_months: int = Field(
        default=13, ge=1, le=60, description="months of metrics by the hour"
    )
    observe_logs_days: int = Field(
        default=7, ge=1, le=90, description="days of log records, and of slow and failed calls"
    )
    observe_mib_max: int = Field(
        default=16_384,
        ge=64,
        description="size of kept signals from which the oldest days are deleted, in MiB",
    )

    statsd: Annotated[str, AfterValidator(_check_place)] = Field(
        default="",
        description="host:port of a StatsD server that reads tags, for metrics by UDP",
    )
    statsd_seconds: float = Field(
        default=10, ge=1, le=86_400, description="seconds between two reports to the StatsD server"
    )
    remote_write: Server = Field(
        default="",
        pattern=r"^(https?://[^\s?#@]+)?$",
        description="URL of a receiver of Prometheus remote write, for metrics",
    )
    remote_write_seconds: float = Field(
        default=60, ge=1, le=86_400, description="seconds between two requests of remote write"
    )
    remote_write_token_file: AbsolutePath = Field(
        default="",
        description="file with the token that remote write sends as Authorization: Bearer",
    )

    @property
    def kept_slow_ms(self) -> float | None:
        """The duration from which a call is kept; None if nothing is kept."""
        return self.observe_slow_ms if self.observe else None
