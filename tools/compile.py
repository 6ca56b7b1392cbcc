"""Compiles the execution core with mypyc into build/compiled: `make compile`.

The sources stay what they are and run without this; see docs/decisions/0007-compiled-core.md.
"""

import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable
from itertools import count
from pathlib import Path

from flowmesh import core
from tools.progress import run

MODULES = {
    "libs/flowmesh/engine": "commands decide erasure reruns search_attributes variables",
    "libs/flowmesh/engine/children": "begin commands decisions events joins keys messages",
    "libs/flowmesh/engine/decisions": (
        "approval_requests approvals attempts bodies durable ending outcomes progress"
        " starting steering step undoing values"
    ),
    "libs/flowmesh/engine/events": "apply ends recorded start_events steering_events",
    "libs/flowmesh/engine/state": (
        "compensation copies held journal nodes pages scopes state transition"
    ),
    "libs/flowmesh/insight": "replay",
    "libs/flowmesh/plan": "compiled policies scope",
    "services/flowmesh/orchestrator/api": "session",
    "services/flowmesh/orchestrator/commit": (
        "admission batched_execution committer effects group_delay inbox publisher waiters"
    ),
    "services/flowmesh/orchestrator/dispatch": (
        "attachment commit_lock dispatch_limiter dispatcher leases long_runs task_results"
        " uncommitted_ends worker_services"
    ),
    "services/flowmesh/orchestrator/dispatch/statistics": "workflow_stats",
    "services/flowmesh/orchestrator/limits": (
        "permit_client permit_exchange permit_grantor permit_holdings permit_ledger ready_queues"
        " quotas rules worker_scope"
    ),
    "services/flowmesh/orchestrator/model": (
        "attempt_metrics commands ids messages payload_checks plans search_values telemetry"
        " verdicts"
    ),
    "services/flowmesh/orchestrator/operations": (
        "execution_reader executions outcomes owner_router immediate_starts start_admission"
        " start_service"
    ),
    "services/flowmesh/orchestrator/ownership": "ownership",
    "services/flowmesh/orchestrator/storage": "batch model_usage payloads snapshots states",
    "services/flowmesh/worker": "credit credit_grants dispatches leases relay result_router",
    "services/flowmesh/worker/streams": "unacknowledged_results",
}
SOURCES = [f"{folder}/{name}.py" for folder, names in MODULES.items() for name in names.split()]
TYPES = ("--namespace-packages", "--explicit-package-bases", "--strict")
WORK = core.ROOT / "build" / "mypyc"
LOG = WORK / "compile.log"
CHECKING = "checking types and writing C"


def main() -> int:
    packages = _packages()
    made = json.loads(core.MANIFEST.read_text()) if core.MANIFEST.exists() else {}
    digest = core.digest(packages)
    if (made.get("digest"), made.get("sources")) == (digest, SOURCES):
        print("the compiled core is up to date")
        return 0
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    if shutil.which(compiler) is None or not header.exists():
        needed = f"a C compiler ({compiler}) and the headers of Python ({header})"
        print(f"`make compile` needs {needed}; all runs without it too", file=sys.stderr)
        return 1
    shutil.rmtree(core.FOLDER, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"MYPYPATH": "gen/python:libs:services", core.VARIABLE: "pure"}
    what = f"compiling {len(SOURCES)} modules of the core, about four minutes of one CPU"
    command = (sys.executable, "-m", "tools.compile", "build")
    code, output = run(what, command, _stage_of(), environment)
    LOG.write_text(output)
    if code:
        print(output, file=sys.stderr)
        return 1
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    built = sorted(core.FOLDER.rglob(f"*{suffix}"))
    files = [path.relative_to(core.FOLDER).as_posix() for path in built]
    modules = {name.removesuffix(suffix).replace("/", "."): name for name in files}
    manifest = {"digest": digest, "packages": packages, "sources": SOURCES, "modules": modules}
    core.MANIFEST.write_text(json.dumps(manifest, indent=1))
    print("`flowmesh` runs the compiled core; `make pure` removes it")
    return 0


def _stage_of() -> Callable[[str], str]:
    """Return a function that extracts the stage from output lines of `build`."""
    built = count(1)

    def stage_of(line: str) -> str:
        if line.startswith("building '"):
            return f"C compiler, library {next(built)} of {len(SOURCES) + 1}"
        return line.strip() if line.startswith(CHECKING) else ""

    return stage_of


def _packages() -> list[str]:
    """Return the packages of compiled modules and of their imports, whose constants are inlined."""
    text = "\n".join((core.ROOT / source).read_text() for source in SOURCES)
    names = set(re.findall(r"^\s*from flowmesh\.(\w+)", text, re.MULTILINE))
    folders = [f"{root}/flowmesh/{name}" for root in ("libs", "services") for name in names]
    return sorted(Path(folder).name for folder in folders if (core.ROOT / folder).is_dir())


def build() -> int:
    """Build in a separate process; its output is shown on failure."""
    from mypyc.build import mypycify
    from setuptools import setup  # type: ignore[import-untyped]

    print(CHECKING, flush=True)
    extensions = mypycify([*TYPES, *SOURCES], opt_level="2", debug_level="0", target_dir=str(WORK))
    for extension in extensions:  # what another compiler warns of is no reason to fail
        extension.extra_compile_args = [*extension.extra_compile_args, "-Wno-error"]
    steps = ["build_ext", "--build-lib", str(core.FOLDER), "--build-temp", str(WORK / "objects")]
    setup(name="flowmesh-core", ext_modules=extensions, packages=[], script_args=steps)
    return 0


if __name__ == "__main__":
    sys.exit(build() if sys.argv[1:] == ["build"] else main())
