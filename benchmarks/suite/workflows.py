"""The workflows of the workloads, as step JSON."""

from typing import Any

NOOP = "bench.noop"
STAMP = "bench.stamp"
SLEEP_MS = 3_600_000
PARAMS = {"note": "abcdefghij" * 8}


def chain(name: str, steps: int, action: str = NOOP) -> dict[str, Any]:
    """Steps one after the other."""
    return {
        "id": name,
        "name": name,
        "steps": [
            {
                "id": f"s{number}",
                "name": f"s{number}",
                "action": action,
                "params": PARAMS,
                "dependencies": [f"s{number - 1}"] if number else [],
            }
            for number in range(steps)
        ],
    }


def fan(name: str, width: int) -> dict[str, Any]:
    """Steps side by side, and one that waits for them all."""
    wide = [
        {"id": f"s{number}", "name": f"s{number}", "action": NOOP, "dependencies": []}
        for number in range(width)
    ]
    names = [step["id"] for step in wide]
    return {
        "id": name,
        "name": name,
        "steps": [*wide, {"id": "join", "name": "join", "action": NOOP, "dependencies": names}],
    }


def sleeper(name: str) -> dict[str, Any]:
    """One step, a timer of an hour."""
    step = {"id": "sleep", "name": "sleep", "action": "delay", "params": {"duration": SLEEP_MS}}
    return {"id": name, "name": name, "steps": [step]}
