"""Analyzers of text as tasks of workflows."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, execute, refusal, resource, workflow

FEEDBACK = {
    "The support was excellent and I love the new page!": "positive",
    "Not good. It crashed again, and nobody was helpful.": "negative",
    "This is the worst delivery I ever had, terrible.": "negative",
    "The parcel has a height of ten centimetres.": "neutral",
    "Really fast and reliable, I recommend it.": "positive",
}
ALERTS = {
    "disk /var is 99% full on node-3": ("storage", "critical"),
    "postgres replication lag is elevated on replica-2": ("database", "medium"),
    "Unauthorized login from 10.0.0.9: suspicious brute-force attack": ("security", "high"),
    "pod checkout-7 OOMKilled, memory limit exceeded": ("compute", "critical"),
    "connection timeout to api.example.com, dns unreachable": ("network", "critical"),
    "Resolved: disk space on node-3 has recovered": ("storage", "low"),
    "cpu of node-1 is at 93%": ("compute", "high"),
    "the moon is blue": ("other", "medium"),
}


async def analyzer(suite: Suite, kind: str) -> str:
    """Apply a workflow of one analyzer; return its name."""
    name = kind.replace(".", "-").replace("_", "-")
    task = resource("WorkflowTask", f"{name}-task", type=kind, analyze={"text": "{{input.text}}"})
    node = {"id": "analyze", "taskRef": f"{name}-task", "input": {"text": "{{input.text}}"}}
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    output = {"found": "{{tasks.analyze.output}}"}
    await applied(suite, task, workflow(name, node, inputSchema=schema, output=output))
    return name


async def found(suite: Suite, name: str, text: str) -> Json:
    answer = await execute(suite, name, {"text": text})
    assert answer.json["status"] == "completed", answer.text
    return answer.json["output"]["found"]


@pytest.mark.feature("S1-124")
async def test_a_text_has_a_sentiment(suite: Suite) -> None:
    """Label and score agree, and the words that decided are named."""
    name = await analyzer(suite, "ai.sentiment")
    for text, label in FEEDBACK.items():
        result = await found(suite, name, text)
        assert result["label"] == label, (text, result)
        assert -1 <= result["score"] <= 1
        assert bool(result["evidence"]) is (label != "neutral")
    refused = await execute(suite, name, {"text": "x" * 40_000})
    assert "at most 32,768 characters" in refused.text


@pytest.mark.feature("S1-125")
async def test_an_alert_has_a_class_and_a_severity(suite: Suite) -> None:
    """By its words and numbers; one that is not known is `other`."""
    name = await analyzer(suite, "ai.classify_alert")
    for text, expected in ALERTS.items():
        result = await found(suite, name, text)
        assert (result["class"], result["severity"]) == expected, (text, result)


@pytest.mark.feature("S1-126")
async def test_a_text_gets_suggestions(suite: Suite) -> None:
    """Each names its reason and its place; a good text gets none."""
    name = await analyzer(suite, "ai.suggest")
    text = f"We utilize {'many words ' * 20}in order to tell you about our product. It is here."
    result = await found(suite, name, text)
    kinds = {each["kind"] for each in result["suggestions"]}
    assert kinds == {"readability", "wording", "repetition", "title", "action"}
    wording = next(each for each in result["suggestions"] if each["kind"] == "wording")
    assert text[wording["start"] :].startswith("utilize")
    assert "words" in result["keywords"]
    body = "The new release brings faster search, clear reports and a calmer inbox for every team."
    more = "Your data stays where it is, and nothing else changes. Try it today, and reply."
    good = f"Release 2.0\n\n{body} {more}"
    assert (await found(suite, name, good))["suggestions"] == []


async def test_an_analyzer_without_text_is_refused(suite: Suite) -> None:
    """At registration, with the place."""
    task = resource("WorkflowTask", "speechless", type="ai.suggest", analyze={})
    answer = await suite.post("/api/v1/tasks", task)
    assert refusal(answer)[0] == 400
