"""Analyzers of text, and guarded steps of a model."""

from flowmesh.tasktypes.record import Effect, InputMode, Schema, TaskType


def _analyzer(name: str, summary: str, factory: str, output: Schema) -> TaskType:
    return TaskType(
        name=name,
        summary=summary,
        effect=Effect.COMPUTES,
        executor=f"flowmesh.executors.analyzers.tasks:{factory}",
        parameters="flowmesh.definitions.editor.calls:analyzer_parameters",
        output={"type": "object", "properties": output, "required": sorted(output)},
        native=name,
        block="analyze",
        reader="flowmesh.definitions.formats.native.calls:analyzed",
        action="read",
        input_mode=InputMode.RENDERED,
    )


SENTIMENT = _analyzer(
    "ai.sentiment",
    "Label and score of the sentiment of a text.",
    "sentiment_executor",
    {
        "label": {"type": "string", "enum": ["positive", "neutral", "negative"]},
        "score": {"type": "number"},
        "evidence": {"type": "array"},
    },
)
CLASSIFY_ALERT = _analyzer(
    "ai.classify_alert",
    "Class and severity of an alert.",
    "alert_executor",
    {
        "class": {"type": "string"},
        "severity": {"type": "string", "enum": ["critical", "high", "medium", "low"]},
        "confidence": {"type": "number"},
        "evidence": {"type": "array"},
    },
)
SUGGEST = _analyzer(
    "ai.suggest",
    "Suggestions for a text, and its keywords.",
    "suggestion_executor",
    {
        "suggestions": {"type": "array", "items": {"type": "object"}},
        "keywords": {"type": "array", "items": {"type": "string"}},
        "words": {"type": "integer"},
    },
)
COMPLETE = TaskType(
    name="ai.complete",
    summary="Answer of a model within guards and budgets, of a schema if one is given.",
    effect=Effect.READS,
    executor="flowmesh.executors.completion.task:completion_executor",
    parameters="flowmesh.definitions.editor.calls:complete_parameters",
    output={
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "value": {},
            "calls": {"type": "array", "items": {"type": "object"}},
            "approve": {"type": "boolean"},
            "blocked": {"type": "string"},
            "messages": {"type": "array", "items": {"type": "object"}},
            "provider": {"type": "string"},
            "model": {"type": "string"},
            "turns": {"type": "integer"},
            "usage": {"type": "object"},
        },
        "required": ["text", "calls", "approve", "blocked", "messages", "usage"],
    },
    native="ai.complete",
    block="complete",
    reader="flowmesh.definitions.formats.native.models:completed",
    action="read",
    input_mode=InputMode.RENDERED,
    journaled=True,
)
TASK_TYPES = (SENTIMENT, CLASSIFY_ALERT, SUGGEST, COMPLETE)
