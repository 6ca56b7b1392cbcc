"""`size`: what a load needs in cores, log and disk."""

import re
from dataclasses import asdict

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command
from flowmesh.cli.refusals import Refused

_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_SIZE = re.compile(r"([0-9]{1,9})(B|KiB|MiB)")
_SPAN = re.compile(r"([0-9]{1,6})([mhd])")
RATE_MAX = 1e6
STEPS_MAX = 100_000
SLEEPING_MAX = 10**9


@command
def size(
    *,
    starts_per_second: float,
    steps: int = 3,
    payload: str = "100B",
    retention: str = "30d",
    sleeping: int = 0,
    common: Common = COMMON,
) -> int:
    """Work out the cores, the log and the disk that a load needs, from measured costs.

    Args:
        starts_per_second: Executions that are started each second, on average.
        steps: Steps of a workflow.
        payload: Bytes of the values that steps pass on, such as 2KiB.
        retention: Time for which ended executions are kept, such as 12h or 30d.
        sleeping: Executions that sleep at the same time.
    """
    from flowmesh.cli.operations.sizing import Load, measured_costs, size_of

    _check("--starts-per-second", starts_per_second, RATE_MAX)
    _check("--steps", steps, STEPS_MAX)
    if not 0 <= sleeping <= SLEEPING_MAX:
        raise Refused(f"--sleeping is {sleeping}", f"write a number from 0 to {SLEEPING_MAX:,}")
    load = Load(
        starts_per_second=starts_per_second,
        steps=steps,
        payload_bytes=_amount("--payload", payload, _SIZE, _BYTES, "100B, 2KiB or 1MiB"),
        retention_s=_amount("--retention", retention, _SPAN, _SECONDS, "90m, 12h or 30d"),
        sleeping=sleeping,
    )
    costs = measured_costs()
    found = size_of(costs, load)
    if common.structured:
        output.document({"load": asdict(load), "size": asdict(found), "measured": costs.at})
        return exit_codes.DONE
    rows = (
        ("step of growth", found.step),
        ("cores", f"{found.cores:.1f}"),
        ("processes of the suite", f"{found.processes:,}"),
        ("commits, at least", f"{found.commits_per_second:,.1f}/s"),
        ("log of PostgreSQL", f"{bytes_text(found.wal_bytes_per_second)}/s"),
        ("events on the bus", f"{bytes_text(found.bus_bytes_per_second)}/s"),
        ("rows of a workflow", bytes_text(found.stored_bytes_per_workflow)),
        ("rows after the retention", bytes_text(found.stored_bytes)),
    )
    output.columns(("NEED", "VALUE"), rows)
    output.line(
        f"Measured {costs.at[:10]} on {costs.machine.cores} cores with Python"
        f" {costs.machine.python}; see docs/scale.md."
    )
    return exit_codes.DONE


def bytes_text(count: float) -> str:
    """Return a number of bytes in the largest unit of which it has one."""
    unit = next(name for name in reversed(_BYTES) if count >= _BYTES[name] or name == "B")
    return f"{count / _BYTES[unit]:,.1f} {unit}"


def _check(option: str, value: float, most: float) -> None:
    if not 0 < value <= most:
        raise Refused(f"{option} is {value:g}", f"write a number above 0, at most {most:,.0f}")


def _amount(
    option: str, text: str, form: re.Pattern[str], units: dict[str, int], examples: str
) -> int:
    found = form.fullmatch(text)
    if found is None:
        raise Refused(f"{option} is {text!r}", f"write {examples}")
    return int(found[1]) * units[found[2]]
