"""`ai.sentiment`, `ai.classify_alert` and `ai.suggest`: an analyzer over one text."""

from collections.abc import Callable

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.executors.analyzers.alerts import classify
from flowmesh.executors.analyzers.sentiment import sentiment
from flowmesh.executors.analyzers.suggestions import suggest
from flowmesh.executors.base import Attempt, Executor, InlineStep, Output
from flowmesh.executors.failures import invalid
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.templates import Rendered

# A text of this size takes a few ms.
TEXT_CHARACTERS_MAX = 32 * 1024
Analyzer = Callable[[str], dict[str, Json]]


class AnalyzerStep(InlineStep):
    def __init__(self, spec: TaskSpec, text: Json, analyzer: Analyzer, now_us: NowUs) -> None:
        self._analyzer = analyzer
        self._text = Rendered(text, spec.dialect, now_us)

    def run(self, attempt: Attempt) -> Output:
        text = self._text.over(attempt)
        if not isinstance(text, str) or len(text) > TEXT_CHARACTERS_MAX:
            raise invalid(f"text must be a text of at most {TEXT_CHARACTERS_MAX:,} characters")
        return Output.of(self._analyzer(text))


def _executor(analyzer: Analyzer, now_us: NowUs) -> Executor:
    def prepare(spec: TaskSpec, config: dict[str, Json]) -> AnalyzerStep:
        return AnalyzerStep(spec, config.get("text"), analyzer, now_us)

    return prepare


def sentiment_executor(now_us: NowUs) -> Executor:
    """Return the executor of `ai.sentiment`."""
    return _executor(sentiment, now_us)


def alert_executor(now_us: NowUs) -> Executor:
    """Return the executor of `ai.classify_alert`."""
    return _executor(classify, now_us)


def suggestion_executor(now_us: NowUs) -> Executor:
    """Return the executor of `ai.suggest`."""
    return _executor(suggest, now_us)
