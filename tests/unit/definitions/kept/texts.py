"""Exports of some definitions as texts that are kept beside this file; plans, drawings and schemas
for editors as digests.

`python -m tests.unit.definitions.kept.texts` writes them again after an intended change.
"""

import hashlib
import json
from pathlib import Path

from google.protobuf import json_format

from flowmesh.contract.json_value import Json
from flowmesh.definitions import Workflow, compile_source, read_source
from flowmesh.definitions.drawing import DRAWINGS, draw
from flowmesh.definitions.exports import export_source, write_python, write_yaml
from flowmesh.definitions.formats.table import FORMATS
from flowmesh.definitions.reading.yaml_text import read_yaml
from flowmesh.definitions.versions import diff_workflows
from flowmesh.dryrun.editor import SCHEMAS
from flowmesh.errors import Invalid
from tests.unit.definitions.exports.test_outcomes_travel import SOURCE, STEPS
from tests.unit.definitions.factories import node
from tests.unit.definitions.factories import workflow as workflow_with
from tests.unit.definitions.formats.cncf import Drawn
from tests.unit.definitions.formats.states_samples import SAMPLES, machine

FOLDER = Path(__file__).parent
RIGHT = FOLDER.parents[2] / "badinput" / "right.yaml"
DIGESTS = FOLDER / "digests.txt"
DIFFERENCE = FOLDER / "difference.txt"
DRAWN = range(6)
REFUSED = {"a request with a connection"}

OBJECT = "arn:aws:states:::s3:%s"
ITEM: Json = {
    "ProcessorConfig": {"Mode": "DISTRIBUTED"},
    **machine("One", One={"Type": "Pass", "End": True}),
}
PUT: Json = {"Resource": OBJECT % "putObject", "Parameters": {"Bucket": "b"}}


def each(**more: Json) -> Json:
    """Return a machine of one distributed map."""
    return machine("Each", Each={"Type": "Map", "ItemProcessor": ITEM, **more, "End": True})


def get(**config: Json) -> Json:
    reader = {"Bucket": "b", "Key.$": "$.key"}
    return {"Resource": OBJECT % "getObject", "Parameters": reader, "ReaderConfig": config}


GIVEN: Json = {"CSVHeaderLocation": "GIVEN", "CSVHeaders": ["x"], "CSVDelimiter": "PIPE"}
CRON: Json = {"expression": "0 2 * * *", "input": {}}
OTHERS: dict[str, Json] = {
    "rows with a head": each(ItemReader=get(InputType="CSV", CSVHeaderLocation="FIRST_ROW")),
    "rows with columns": each(ItemReader=get(InputType="CSV", MaxItems=9, **GIVEN)),
    "part of an object": each(ItemReader=get(InputType="JSON", ItemsPointer="/a")),
    "as many lines": each(ItemReader=get(InputType="JSONL", MaxItemsPath="$.most")),
    "batches": each(ItemBatcher={"MaxItemsPerBatch": 9, "BatchInput": {"a": 1}}),
    "batches by paths": each(
        ItemBatcher={"MaxItemsPerBatchPath": "$.n", "MaxInputBytesPerBatchPath": "$.b"}
    ),
    "written results": each(ResultWriter=PUT, ResultPath="$.written"),
    "written lines": each(ResultWriter={**PUT, "WriterConfig": {"OutputType": "JSONL"}}),
    "flat results": each(ResultWriter={"WriterConfig": {"Transformation": "FLATTEN"}}),
    "tolerated": each(ToleratedFailureCount=1, ToleratedFailurePercentage=7, InputPath=None),
    "two schedules": workflow_with(
        node("a"), triggers=[{"id": "schedule", "cron": CRON}, {"id": "other", "cron": CRON}]
    ),
    "a schedule": workflow_with(node("a"), triggers=[{"id": "schedule", "cron": CRON}]),
    "a schedule of a zone": workflow_with(
        node("a"), triggers=[{"id": "schedule", "cron": {**CRON, "timezone": "Europe/Berlin"}}]
    ),
    "a schedule by another name": workflow_with(
        node("a"), triggers=[{"id": "nightly", "cron": {"expression": "0 2 * * *"}}]
    ),
}


def everything() -> dict[str, bytes]:
    """Return the workflows that use everything, each with the tasks of the library."""
    documents: list[Json] = list(read_yaml(RIGHT.read_text()))
    tasks = [each for each in documents if each.get("kind") == "WorkflowTask"]
    found = {"policies": SOURCE, "settings": json.dumps(STEPS).encode()}
    for each in documents:
        if each.get("kind") in ("WorkflowTask", "WorkflowTemplate"):
            continue
        about = each.get("document") or each.get("metadata") or {}
        name = each.get("id") or each.get("Name") or about["name"]
        found[name] = write_yaml([*tasks, each]).encode()
    return found


def samples() -> dict[str, bytes]:
    found = {name: write_yaml([each]).encode() for name, each in OTHERS.items()}
    machines = {
        n.replace(":", ""): json.dumps(each).encode()
        for n, each in SAMPLES.items()
        if n not in REFUSED
    }
    drawn = {f"drawn {n}": write_yaml(Drawn(n).resources).encode() for n in DRAWN}
    return found | machines | drawn


def plan(source: bytes) -> str:
    return json.dumps(json_format.MessageToDict(compile_source(source)), sort_keys=True)


def exported(source: bytes, target: str) -> str:
    """Return the export, or what the format has no place for."""
    try:
        documents = export_source(source, "", target)
    except Invalid as refusal:
        return "".join(f"# {each.field}: {each.description}\n" for each in refusal.violations)
    return write_python(documents) if target == "python" else write_yaml(documents)


def drawing(source: bytes, kind: str) -> str:
    """Return a drawing, in which the first two nodes have a status."""
    workflow = workflow_of(source)
    statuses = dict(zip([each.id for each in workflow.nodes], ("failed", "success"), strict=False))
    return draw(workflow, kind, statuses)


def whole(source: bytes) -> str:
    """Return each export of a source and its drawing as one text."""
    parts = {each: exported(source, each) for each in FORMATS}
    parts["mermaid"] = drawing(source, "mermaid")
    return "".join(f"==== {name}\n{text.rstrip()}\n" for name, text in parts.items())


def difference() -> str:
    """Return the differences of a workflow with all policies from one without, both ways."""
    bare = {"id": "a", "taskRef": "noop"}
    versions = workflow_of(SOURCE), workflow_of(write_yaml([workflow_with(bare)]).encode())
    lines = [diff_workflows(*versions), diff_workflows(*reversed(versions))]
    return "".join(f"{each.text()}\n" for part in lines for each in part)


def workflow_of(source: bytes) -> Workflow:
    found = [each.resource for each in read_source(source).resources]
    return next(each for each in found if isinstance(each, Workflow))


def digests_of(source: bytes) -> dict[str, str]:
    """Return the digests of the plan, of each export and of each drawing."""
    texts = {"plan": plan(source)}
    texts |= {each: exported(source, each) for each in FORMATS}
    texts |= {each: drawing(source, each) for each in DRAWINGS}
    return {name: digest(text) for name, text in texts.items()}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def schema_digest(kind: str) -> str:
    return digest(json.dumps(SCHEMAS[kind](), sort_keys=True))


def kept(source: str) -> dict[str, str]:
    """Return the kept digests of one source, by name."""
    rows = (line.partition(": ") for line in DIGESTS.read_text().splitlines())
    words = next(digests for name, _, digests in rows if name == source).split(" ")
    return dict(word.split("=", 1) for word in words)


def _written() -> str:
    found = {name: digests_of(source) for name, source in (everything() | samples()).items()}
    found["schemas"] = {kind: schema_digest(kind) for kind in SCHEMAS}
    rows = ((name, (f"{key}={value}" for key, value in row.items())) for name, row in found.items())
    return "".join(f"{name}: {' '.join(words)}\n" for name, words in rows)


if __name__ == "__main__":
    for name, source in everything().items():
        (FOLDER / f"{name}.txt").write_text(whole(source))
    DIFFERENCE.write_text(difference())
    DIGESTS.write_text(_written())
