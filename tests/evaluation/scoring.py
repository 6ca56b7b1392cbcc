"""The score of a draft: which of the assertions of its prompt hold."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

import yaml

from flowmesh.contract.json_value import Json

PROMPTS = Path(__file__).parent / "prompts.toml"


@dataclass(frozen=True, slots=True)
class Prompt:
    grade: int
    text: str
    has: tuple[str, ...]
    held: bool


def prompts() -> list[Prompt]:
    """Return the prompts of the set."""
    found = tomllib.loads(PROMPTS.read_text())["prompt"]
    return [Prompt(p["grade"], p["text"], tuple(p["has"]), p.get("held", False)) for p in found]


class Plan:
    """A draft, as the assertions read it."""

    def __init__(self, source: str, questions: list[str]) -> None:
        documents = list(yaml.safe_load_all(source))
        self.workflow = documents[0]
        self.own = {each["metadata"]["name"]: each["spec"]["type"] for each in documents[1:]}
        self.text = json.dumps(documents)
        self.questions = questions
        self.top: list[dict[str, Json]] = self.workflow["spec"]["tasks"]
        self.nodes = list(self._all(self.top))

    def holds(self, assertion: str) -> bool:
        """Return whether an assertion holds."""
        word, _, value = assertion.partition(":")
        if not value:
            return self._plain(word)
        match word:
            case "count":
                return len([n for n in self.nodes if n.get("taskRef") != "noop"]) == int(value)
            case "own-count":
                return len(self.own) == int(value)
            case "own":
                return value in self.own
            case "text":
                return value in self.text
            case "retry":
                return any(
                    (n.get("retry") or {}).get("maxAttempts") == int(value) for n in self.nodes
                )
            case "timeout":
                return any(n.get("timeout") == value for n in self.nodes)
            case "condition":
                return any(value in str(n.get("condition")) for n in self.nodes)
            case "order":
                first, second = value.split(">")
                return any(self._before(a, b) for a in self._of(first) for b in self._of(second))
            case "cron" | "event" | "queue":
                member = {"cron": "expression", "event": "type", "queue": "queue"}[word]
                return any((t.get(word) or {}).get(member) == value for t in self._triggers())
        raise ValueError(assertion)

    def _plain(self, word: str) -> bool:
        match word:
            case "asks":
                return bool(self.questions)
            case "webhook":
                return any("webhook" in each for each in self._triggers())
            case "parallel":
                starts = [tuple(map(str, n.get("dependsOn") or ())) for n in self.top]
                return len(starts) > len(set(starts))
            case "exclusive":
                found = [str(n["condition"]) for n in self.nodes if "condition" in n]
                return any(f"!({each})" in found for each in found)
            case "failure":
                return "'on': 'failure'" in str([n.get("dependsOn") for n in self.nodes])
        return bool(self._of(word))

    def _of(self, kind: str) -> list[dict[str, Json]]:
        """Return the nodes of a kind, or those that refer to a task."""
        found = []
        for node in self.nodes:
            ref = str(node.get("taskRef"))
            if kind in node or ref == kind or self.own.get(ref) == kind:
                found.append(node)
        return found

    def _before(self, first: dict[str, Json], second: dict[str, Json]) -> bool:
        by_id = {n["id"]: n for n in self.nodes}
        waiting, seen = [second], set()
        while waiting:
            for each in waiting.pop().get("dependsOn") or ():
                name = each if isinstance(each, str) else each["task"]
                if name == first["id"]:
                    return True
                if name not in seen and name in by_id:
                    seen.add(name)
                    waiting.append(by_id[name])
        return False

    def _triggers(self) -> list[dict[str, Json]]:
        return self.workflow["spec"].get("triggers") or []

    def _all(self, nodes: list[dict[str, Json]]) -> list[dict[str, Json]]:
        found = []
        for node in nodes:
            found.append(node)
            found += self._all((node.get("map") or {}).get("tasks") or [])
        return found
