"""Trains a classifier with Flowmesh and deploys it.

`python pipeline.py` registers the workflow and serves its tasks;
`python pipeline.py predict LENGTH WIDTH` asks the deployed model.
"""

import json
import sys
from pathlib import Path
from typing import Any

from training import KINDS, accuracy, fit, measured, probability

from flowmesh.sdk import Client, Ref, Worker, Workflow, task, workflow

MODEL = Path(__file__).with_name("model.json")
ACCURACY_MIN = 0.9


@task("load-measurements", timeout="30s")
def load(input: dict[str, Any]) -> dict[str, Any]:
    """Split the rows: a model is evaluated on rows that it has not seen."""
    rows = measured(200, input["seed"])
    return {"training": rows[:150], "test": rows[150:]}


@task("train-model", timeout="5m", pool="process")
def train(input: dict[str, Any]) -> dict[str, Any]:
    """Work on the CPU belongs in a process, where it does not hold up other tasks."""
    weights = fit(input["rows"], input["rate"])
    return {"rate": input["rate"], "weights": weights}


@task("evaluate-model", timeout="1m")
def evaluate(input: dict[str, Any]) -> dict[str, Any]:
    return {**input["model"], "accuracy": accuracy(input["model"]["weights"], input["rows"])}


@task("deploy-model", timeout="30s")
def deploy(input: dict[str, Any]) -> dict[str, Any]:
    """Write the file whole and rename it, so that no reader sees half of a model."""
    draft = MODEL.with_suffix(".draft")
    draft.write_text(json.dumps(input["model"]))
    draft.replace(MODEL)
    return {"deployed": MODEL.name}


@workflow("train-classifier")
def train_classifier(flow: Workflow) -> dict[str, Ref]:
    data = flow.task("data", load, input={"seed": flow.input["seed"]})

    each = flow.map("candidates", flow.input["rates"], concurrency=4)
    rows = {"rows": data.output["training"], "rate": each.item}
    model = each.task("train", train, input=rows)
    each.task("evaluate", evaluate, input={"model": model.output, "rows": data.output["test"]})

    best = flow.transform(
        "best",
        each.output,
        {"operation": "sort", "field": "accuracy", "order": "desc"},
        {"operation": "first"},
    )
    good = {"id": "good", "expression": f"tasks.best.output.accuracy >= {ACCURACY_MIN}"}
    gate = flow.node("gate", {"decision": {"conditions": [good]}}, depends_on=[best])
    flow.task("deploy", deploy, input={"model": best.output}, depends_on=[gate.on("good")])
    return {"rate": best.output["rate"], "accuracy": best.output["accuracy"]}


def predict(length: float, width: float) -> None:
    weights = json.loads(MODEL.read_text())["weights"]
    print(KINDS[round(probability(weights, (length, width)))])


def serve() -> None:
    with Client.sync() as client:
        client.register(train_classifier)
    Worker(task_types=train_classifier.handlers, processes=2).run()


if __name__ == "__main__":
    predict(*map(float, sys.argv[2:])) if sys.argv[1:2] == ["predict"] else serve()
