"""The environment of a run: commit, time, machine and its current speed."""

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import psutil

from benchmarks.processes import ROOT

YARDSTICK_TURNS = 1_000_000


def describe() -> dict[str, Any]:
    """Return the head of the results."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--", "libs", "services", "protos")),
        "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "machine": {
            "cores": os.cpu_count() or 0,
            "memory_gib": round(psutil.virtual_memory().total / (1 << 30)),
            "kernel": platform.release(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "load_1m": round(os.getloadavg()[0], 1),
        },
    }


def yardstick_ms() -> float:
    """Return the duration of a fixed piece of work, as the speed of the machine drifts."""
    began = time.perf_counter()
    total = 0
    for turn in range(YARDSTICK_TURNS):
        total += turn & 7
    return (time.perf_counter() - began) * 1_000


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
