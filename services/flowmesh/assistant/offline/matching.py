"""The search for reusable tasks by words: BM25 over name, description and parameters."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowmesh.assistant.offline.words import STOP_WORDS, stem
from flowmesh.contract.json_value import Json

# The saturation of repeated words, and the weight of the length of a text.
K1, B = 1.2, 0.75
# A word of the name counts as this many of the description.
NAME_WEIGHT = 3
# The share of the words of a step that a task must have to be the one that is meant.
SHARE_MIN = 0.5


@dataclass(frozen=True, slots=True)
class KnownTask:
    """A reusable task, as its resource describes it."""

    name: str
    description: str = ""
    input_schema: Json = None
    output_schema: Json = None
    words: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, name: str, spec: Json) -> "KnownTask":
        """Return the task of a resource."""
        description = str(spec.get("description") or "")
        words = Counter(words_of(name) * NAME_WEIGHT + words_of(description))
        return cls(name, description, spec.get("inputSchema"), spec.get("outputSchema"), words)


def words_of(text: str) -> list[str]:
    """Return the meaningful words of a text, stemmed; camelCase and hyphens separate words."""
    spaced = "".join(
        f" {each}" if each.isupper() else each if each.isalnum() else " " for each in text
    )
    return [stem(word) for word in spaced.split() if word.lower() not in STOP_WORDS]


class Tasks:
    """The tasks that a caller may use."""

    def __init__(self, tasks: Sequence[KnownTask]) -> None:
        self._tasks = tasks
        self._mean = sum(each.words.total() for each in tasks) / max(1, len(tasks))
        self._having = Counter(word for each in tasks for word in each.words)

    def best(self, text: str, count: int) -> list[KnownTask]:
        """Return the tasks that fit a text, the best first."""
        asked = words_of(text)
        scored = [(self._score(each, asked), each) for each in self._tasks]
        found = sorted((each for each in scored if each[0] > 0), key=lambda each: -each[0])
        return [task for _, task in found[:count]]

    def meant(self, text: str) -> KnownTask | None:
        """Return the task that a step means; None if none has enough of its words."""
        asked = set(words_of(text))
        for task in self.best(text, 1):
            named = set(words_of(task.name))
            if len(named & asked) / max(1, len(named)) >= SHARE_MIN:
                return task
        return None

    def _score(self, task: KnownTask, asked: Sequence[str]) -> float:
        length = 1 - B + B * task.words.total() / max(1.0, self._mean)
        score = 0.0
        for word in asked:
            having, times = self._having[word], task.words[word]
            rarity = math.log(1 + (len(self._tasks) - having + 0.5) / (having + 0.5))
            score += rarity * times * (K1 + 1) / (times + K1 * length)
        return score
