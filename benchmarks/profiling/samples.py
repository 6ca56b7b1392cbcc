"""What a sampling profiler saw: stacks by thread, counted."""

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
    """Frames from the outermost to the innermost, and how often they were seen."""

    thread: str
    frames: tuple[str, ...]
    count: int


def read(path: Path) -> list[Stack]:
    """The lines of py-spy's raw format: frames between semicolons, a space, a count."""
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
    """Where each module of the compiled core comes from; nothing where there is none."""
    if not core.MANIFEST.exists():
        return {}
    return {Path(each).stem: each for each in json.loads(core.MANIFEST.read_text())["sources"]}


def _named(frame: str, sources: Mapping[str, str]) -> str:
    """A function of the compiled core under the name and the file that it has in its source."""
    found = COMPILED.match(frame)
    if found is None or found["module"] not in sources:
        return frame
    owner, name = found["owner"] or "", found["name"].removesuffix(GENERATOR)
    if name != found["name"]:
        # Of a coroutine the class stands behind it: run_Committer_gen.
        name, _, owner = name.removesuffix("_gen").rpartition("_")
    called = f"{owner}.{name}" if owner else name
    return f"{called} ({sources[found['module']]}:0)"


def busy(stacks: Sequence[Stack]) -> list[Stack]:
    """What the main thread did while it did something."""
    return [one for one in stacks if one.thread == MAIN and not waits(one.frames)]


def by_stage(stacks: Sequence[Stack]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for stack in stacks:
        counts[stage_of(stack.frames)] += stack.count
    return counts


def by_function(stacks: Sequence[Stack]) -> Counter[tuple[str, str]]:
    """Stage and innermost function of this repository, with the libraries that it called."""
    counts: Counter[tuple[str, str]] = Counter()
    for stack in stacks:
        counts[stage_of(stack.frames), _own(stack.frames)] += stack.count
    return counts


def _own(frames: Sequence[str]) -> str:
    """`Committer._commit (orchestrator/commit/committer.py)`, the innermost one of ours."""
    for frame in reversed(frames):
        function, _, place = frame.partition(" (")
        file = place.rpartition(":")[0]
        if (ours := OURS.search(file)) and not ENTRY.search(frame):
            return f"{function} ({ours.group(1) or ours.group(2)})"
    return LIBRARY
