"""Settings of kept signals."""

from pydantic import Field
from pydantic_settings import BaseSettings


class ObserveSettings(BaseSettings):
    """Settings of kept signals: switch, retention and size."""

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

    @property
    def kept_slow_ms(self) -> float | None:
        """The duration from which a call is kept; None if nothing is kept."""
        return self.observe_slow_ms if self.observe else None
