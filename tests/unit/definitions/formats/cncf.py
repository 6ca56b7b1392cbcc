"""Generated workflows, and their runs with prepared answers of tasks."""

import random
from collections import Counter

from flowmesh.contract.json_value import Json
from flowmesh.definitions import compile_source
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.reading.reader import Reader
from flowmesh.dryrun.mocks import Mock, Mocks, read_mocks
from flowmesh.dryrun.report import Report
from flowmesh.dryrun.run import dry_run
from flowmesh.engine import NodeState
from flowmesh.sandbox import Sandbox
from tests.unit.definitions.factories import task, workflow

CONDITIONS = (
    "input.n > 1",
    "input.n < 3 && has(input.list)",
    "!(input.n == 2) || 'a' in input.list",
    "input.n >= 1 && input.missing == 1 || input.n == 4",
    "has(input.missing) || size(input.list) >= 2",
)
VALUES = (
    "{{input.n}}",
    "n is {{input.n}} of {{input.list}}",
    "{{input.list[0]}}",
    "{{execution.id}}",
    "{{default(input.missing, input.n)}}",
    "{{exists(input.missing)}}",
    "${ not jq }",
    [1, {"deep": "{{input.list}}"}],
    None,
)

RETRIES = (
    {"maxAttempts": 3, "initialDelay": "1s", "multiplier": 2},
    {"maxAttempts": 2, "initialDelay": "100ms", "multiplier": 3},
    {"maxAttempts": 1},
    {"maxAttempts": 3, "multiplier": 1, "retryOn": ["RateLimitError"]},
)


class Drawn:
    """A generated series-parallel workflow as native resources."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.nodes: list[Json] = []
        # All generated nodes, including those in groups.
        self.count = 0
        self.tasks: list[str] = []
        self.groups = 0
        self.policy = self.draw.choice(["FINISH_OTHERS", "FINISH_OTHERS", "CANCEL"])
        leaves = self._block([], 0)
        said: Json = {"onFailure": self.policy} if self.policy != "FINISH_OTHERS" else {}
        if self.draw.random() < 0.5:
            said["output"] = {
                "at": {leaf: f"{{{{default(tasks.{leaf}.output, 0)}}}}" for leaf in leaves},
                "n": "{{input.n}}",
            }
        self.resources = [
            *(task(name, type=name) for name in self.tasks),
            workflow(*self.nodes, **said),
        ]

    def _block(self, before: list[str], depth: int) -> list[str]:
        """Generate a block behind nodes; return its leaves."""
        kind = self.draw.choice(["one", "one", "series", "branches"]) if depth < 3 else "one"
        if depth == 0:
            kind = "series"
        if kind == "one":
            return [self._node(before)]
        if kind == "series":
            for _ in range(self.draw.randint(2, 3)):
                before = self._block(before, depth + 1)
            return before
        branches = [self._block(before, depth + 1) for _ in range(self.draw.randint(2, 3))]
        return [leaf for branch in branches for leaf in branch]

    def _node(self, before: list[str]) -> str:
        chance = self.draw.random
        name = f"n{self.count}"
        self.count += 1
        node: Json = {"id": name, "dependsOn": list(before)}
        self.nodes.append(node)
        self._outcome(node)
        self._edges(node, before)
        kind = chance()
        if kind < 0.1 and self.groups < 2:
            self.groups += 1
            around, self.nodes = self.nodes, []
            self._block([], 1)
            node["group"] = {"tasks": self.nodes}
            self.nodes = around
        elif kind < 0.22:
            tests = [{"id": each, "expression": self._condition()} for each in ("yes", "no")]
            match = self.draw.choice(["FIRST", "ALL"])
            node["decision"] = {"conditions": tests, "default": ["other"], "match": match}
        elif kind < 0.3:
            node["taskRef"] = "noop"
        elif kind < 0.42:
            node |= {"taskRef": "delay", "input": {"duration": self.draw.choice(["1s", "250ms"])}}
        else:
            self._call(node, before)
        if node.get("taskRef") in ("noop", "delay"):
            for key in ("onFailure", "fallback"):
                node.pop(key, None)
        return name

    def _condition(self) -> str:
        return self.draw.choice(CONDITIONS)

    def _outcome(self, node: Json) -> None:
        chance = self.draw.random
        if chance() < 0.2:
            node["onFailure"] = "CONTINUE"
            if chance() < 0.7:
                node["fallback"] = {"x": [node["id"], "${"]}
        if chance() < 0.15:
            node["critical"] = False
        if chance() < 0.25:
            node["condition"] = self._condition()

    def _edges(self, node: Json, before: list[str]) -> None:
        """Return outcomes on edges, and a join of parallel nodes."""
        chance = self.draw.random
        if len(before) > 1 and chance() < 0.4:
            node["join"] = "ALL"
        if len(before) != 1:
            return
        of = self._of(before[0])
        if "decision" in of and chance() < 0.8:
            on = self.draw.choice(["yes", "yes", "no", "other"])
            node["dependsOn"] = [{"task": before[0], "on": on}]
        elif "task-" in of.get("taskRef", "") and "onFailure" not in of and chance() < 0.15:
            node["dependsOn"] = [{"task": before[0], "on": "failure"}]

    def _call(self, node: Json, before: list[str]) -> None:
        chance = self.draw.random
        node["taskRef"] = f"task-{node['id']}"
        self.tasks.append(node["taskRef"])
        node["input"] = {f"v{i}": self.draw.choice(VALUES) for i in range(2)}
        reads = "join" not in node and node["dependsOn"] == before
        for each in before if reads else ():
            path = self.draw.choice([".output"] * 4 + [".output.x"] * 4 + [".output.none"])
            path = path if "taskRef" in self._of(each) else ".output"
            node["input"][each] = f"{{{{tasks.{each}{path}}}}}"
        if chance() < 0.4:
            node["retry"] = self.draw.choice(RETRIES)
        if chance() < 0.2:
            node["timeout"] = "2s"

    def _of(self, name: str) -> Json:
        return next(each for each in self.nodes if each["id"] == name)

    def answers(self, seed: int) -> dict[str, list[Json]]:
        """Generate the outputs and failures of each task."""
        draw = random.Random(seed)
        found = {}
        classes = ["Timeout", "ServerError", "RateLimitError", "Mine", "NetworkError"]
        for name in self.tasks:
            failures = draw.randint(1, 5) if draw.random() < 0.2 else 0
            found[name] = [
                *({"failure": {"class": draw.choice(classes)}} for _ in range(failures)),
                {"output": {"x": name}},
            ]
        return found


class Answers(Mocks):
    """Prepared answers of tasks, consumed in order across nodes and retries."""

    def __init__(self, given: dict[str, list[Json]]) -> None:
        super().__init__(answers=read_mocks(Reader(given, (), Problems())))
        self._asked: Counter[str] = Counter()

    def of(self, node: NodeState) -> Mock | None:
        spec = node.planned.spec
        answers = self.answers.get(spec.task_name) if spec is not None else None
        if spec is None or not answers:
            return None
        self._asked[spec.task_name] += 1
        return answers[min(self._asked[spec.task_name], len(answers)) - 1]


async def ran(source: bytes, given: Json, answers: dict[str, list[Json]], box: Sandbox) -> Report:
    mocks = Answers(answers)
    return await dry_run(compile_source(source), given, sandbox=box, mocks=mocks)


def same(drawn: Drawn, before: Report, after: Report) -> bool:
    """Return whether two runs have equal results. After a failure that cancels parallel nodes, the
    order of simultaneous starts is ignored.
    """
    one, other = outcome(before), outcome(after)
    failed = before.status == "failed" or any(node.error for node in before.nodes)
    if failed and (drawn.policy == "CANCEL" or drawn.groups):
        return one[:2] == other[:2]
    return one == other


def outcome(report: Report) -> tuple[Json, ...]:
    """Return the result of a run: status, output, end time, and the inputs of each task."""
    calls = sorted((call.type, repr(call.input), call.at_ms) for call in report.calls)
    return report.status, report.output, report.duration_ms, calls
