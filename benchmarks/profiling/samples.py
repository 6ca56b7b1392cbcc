"""Counted stacks of a sampling profiler, by thread."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.profiling.stages import stage_of, waits
from flowmesh import core

THREAD = re.compile(r"^thread \((\d+)\)(?:: (.*))?$")
OURS = re.compile(r"(?:libs|services)/flowmesh/(.*)|(benchmarks/.*)")
MAIN = "MainThread"
COMPILED = re.compile(
    r"^CPy(?:Def|Py)_(?P<module>[a-z_]+?)___(?:(?P<owner>_*[A-Z]\w*?)___)?(?P<name>\w+)"
)
GENERATOR = "_____mypyc_generator_helper__"
ENTRY = re.compile(r"/(main|commands|dev|command_line|answering)\.py|^<module> ")
LIBRARY = "libraries, called by the loop"


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames from the outermost to the innermost, with their count."""

    thread: str
    frames: tuple[str, ...]
    count: int


def read(path: Path) -> list[Stack]:
    """Read the raw format of py-spy: frames separated by semicolons, a space, a count."""
    sources = _compiled_sources()
    found = []
    for line in path.read_text(errors="replace").splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        named = THREAD.match(thread)
        name = (named.group(2) or "") if named else ""
        found.append(Stack(name, tuple(_named(one, sources) for one in frames), int(count)))
    return found


def _compiled_sources() -> dict[str, str]:
    """Return the source of each module of the compiled core, if there is one."""
    if not core.MANIFEST.exists():
        return {}
    return {Path(each).stem: each for each in json.loads(core.MANIFEST.read_text())["sources"]}


def _named(frame: str, sources: Mapping[str, str]) -> str:
    """Return a function of the compiled core with its name and file in the source."""
    found = COMPILED.match(frame)
    if found is None or found["module"] not in sources:
        return frame
    owner, name = found["owner"] or "", found["name"].removesuffix(GENERATOR)
    if name != found["name"]:
        # The class of a coroutine follows its name: run_Committer_gen.
        name, _, owner = name.removesuffix("_gen").rpartition("_")
    called = f"{owner}.{name}" if owner else name
    return f"{called} ({sources[found['module']]}:0)"


def busy(stacks: Sequence[Stack]) -> list[Stack]:
    """Return the stacks of the main thread without those that wait."""
    return [one for one in stacks if one.thread == MAIN and not waits(one.frames)]


def by_stage(stacks: Sequence[Stack]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for stack in stacks:
        counts[stage_of(stack.frames)] += stack.count
    return counts


def by_function(stacks: Sequence[Stack]) -> Counter[tuple[str, str]]:
    """Count by stage and innermost function of this repository, including called libraries."""
    counts: Counter[tuple[str, str]] = Counter()
    for stack in stacks:
        counts[stage_of(stack.frames), _own(stack.frames)] += stack.count
    return counts


def _own(frames: Sequence[str]) -> str:
    """Return the innermost own function: `Committer._commit (orchestrator/commit/committer.py)`."""
    for frame in reversed(frames):
        function, _, place = frame.partition(" (")
        file = place.rpartition(":")[0]
        if (ours := OURS.search(file)) and not ENTRY.search(frame):
            return f"{function} ({ours.group(1) or ours.group(2)})"
    return LIBRARY
