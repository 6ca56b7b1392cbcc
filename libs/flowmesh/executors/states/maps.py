"""The items and the results of a Map state, also of a distributed one.

Objects of a distributed Map are read and written by worker tasks: the output of `s3:getObject`
has the text as `Body`, that of `s3:listObjectsV2` the objects as `Contents`; the input of
`s3:putObject` has `Bucket`, `Key` and `Body`.
"""

import asyncio
import csv
import io
from collections.abc import Iterator

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.states.running import Running, kept_of
from flowmesh.jsontext import parse_json
from flowmesh.standards.paths import Context, compile_path
from flowmesh.standards.payloads import fill_template

_ITEMS_MAX = 100_000
# Items of a Map that are made before yielding to the event loop.
_ITEMS_AT_ONCE = 200
_READER_FAILED = "States.ItemReaderFailed"


async def items(run: Running) -> Json:
    """Return the initial values of the iterations of a Map, one for each item or batch."""
    found: Json = []
    if "reader" in run.config:
        run.state, output = run.state
        found = _read(run, output)
    data = run.at("input_path", run.data)
    if "items" in run.config:
        found = await run.evaluated(run.config["items"])
    elif "reader" not in run.config:
        found = compile_path(run.config.get("items_path", "$")).find(data, run.context)
    if not isinstance(found, list):
        raise TaskFailure("States.Runtime", "the items of a Map are a list")
    if len(found) > _ITEMS_MAX:
        raise TaskFailure("States.Runtime", f"a Map has at most {_ITEMS_MAX:,} items")
    positions = [{"Index": index, "Value": item} for index, item in enumerate(found)]
    given = await _selected(run, data, positions) if "selector" in run.config else found
    if "batch" in run.config:
        given = await _batches(run, data, given)
        positions = [{"Index": index, "Value": batch} for index, batch in enumerate(given)]
    kept = {key: value for key, value in kept_of(run.state).items() if key == "variables"}
    made = [
        {"data": one, "map": position, **kept}
        for one, position in zip(given, positions, strict=True)
    ]
    return {**run.state, "items": made}


async def _selected(run: Running, data: Json, positions: list[Json]) -> list[Json]:
    """Apply ItemSelector to each item."""
    selector, made = run.config["selector"], []
    for start in range(0, len(positions), _ITEMS_AT_ONCE):
        some = [{"Map": {"Item": each}} for each in positions[start : start + _ITEMS_AT_ONCE]]
        if run.config.get("jsonata"):
            made += await run.evaluated_for(some, selector, {})
            continue
        await asyncio.sleep(0)
        context = run.context
        for each in some:
            seen = Context({**context, **each}, context.variables)
            made.append(fill_template(selector, data, seen, run.tools.randomness))
    return made


def _read(run: Running, output: Json) -> list[Json]:
    """Return the items in the output of the task that read them."""
    reader = run.config["reader"]
    if reader["list"]:
        found = output.get("Contents") if isinstance(output, dict) else output
        if isinstance(output, dict) and output.get("IsTruncated") is True:
            raise TaskFailure(_READER_FAILED, "the listing is truncated; list all objects")
    else:
        body = output.get("Body") if isinstance(output, dict) and "Body" in output else output
        found = _parsed(body, reader) if isinstance(body, str) else body
        found = _pointed(found, reader.get("pointer", ""))
    if not isinstance(found, list):
        what = "Contents, the list of objects" if reader["list"] else "a Body with a list of items"
        raise TaskFailure(_READER_FAILED, f"the output of the reading task needs {what}")
    most = reader.get("most")
    if "most_path" in reader:
        most = _size(run, reader["most_path"], "MaxItemsPath")
    return found[:most]


def _parsed(text: str, reader: dict[str, Json]) -> Json:
    try:
        match reader["type"]:
            case "CSV":
                return _rows(text, reader)
            case "JSONL":
                return [
                    parse_json(line.encode(), "the line")
                    for line in text.splitlines()
                    if line.strip()
                ]
            case _:
                return parse_json(text.encode(), "the object")
    except (FlowmeshError, csv.Error) as error:
        raise TaskFailure(_READER_FAILED, f"the object is not {reader['type']}: {error}") from error


def _rows(text: str, reader: dict[str, Json]) -> list[Json]:
    """Return the lines of a CSV text by the names of their columns; missing values are empty."""
    lines = csv.DictReader(
        io.StringIO(text.removeprefix("\ufeff"), newline=""),
        fieldnames=reader.get("headers"),
        delimiter=reader["delimiter"],
        restval="",
    )
    return [{name: value for name, value in line.items() if name is not None} for line in lines]


def _pointed(value: Json, pointer: str) -> Json:
    """Return the value that a JSON pointer selects."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or name not in value:
            raise TaskFailure(_READER_FAILED, f"ItemsPointer {pointer[:64]!r} selects nothing")
        value = value[name]
    return value


def _size(run: Running, path: str, name: str) -> int:
    found = compile_path(path).find(run.data, run.context)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise TaskFailure("States.Runtime", f"{name} selects no number above 0")
    return found


async def _batches(run: Running, data: Json, given: list[Json]) -> list[Json]:
    """Group items by number and bytes."""
    batch = run.config["batch"]
    size, most = (
        _size(run, batch[f"{name}_path"], key) if f"{name}_path" in batch else batch.get(name, 0)
        for name, key in (
            ("items", "MaxItemsPerBatchPath"),
            ("bytes", "MaxInputBytesPerBatchPath"),
        )
    )
    around: dict[str, Json] = {}
    if "input" in batch:
        shared = batch["input"]
        around["BatchInput"] = (
            await run.evaluated(shared)
            if run.config.get("jsonata")
            else fill_template(shared, data, run.context, run.tools.randomness)
        )
    fixed = len(orjson.dumps({**around, "Items": []}))
    return [{**around, "Items": group} for group in _grouped(given, size, most and most - fixed)]


def _grouped(given: list[Json], size: int, most: int) -> Iterator[list[Json]]:
    """Yield lists of at most `size` items and `most` bytes of JSON, 0 for any."""
    group: list[Json] = []
    total = 0
    for item in given:
        length = len(orjson.dumps(item)) + 1 if most else 0
        if most and length > most:
            message = f"an item of {length} bytes is above MaxInputBytesPerBatch"
            raise TaskFailure("States.Runtime", message)
        if group and ((size and len(group) == size) or (most and total + length > most)):
            yield group
            group, total = [], 0
        group.append(item)
        total += length
    if group:
        yield group


async def mapped(run: Running) -> Json:
    """Join the items of a Map; the state is the value before, then the list of all values.

    Items that failed within the tolerated number have no value.
    """
    before, done = run.state
    run.state = before
    outputs = [each.get("data") for each in done if each is not None]
    if "transform" in run.config:
        outputs = _transformed(run, before, done, run.config["transform"]["transformation"])
    return await run.left(outputs, before)


def _transformed(run: Running, before: Json, done: list[Json], how: str) -> list[Json]:
    """Return the results in the form of a ResultWriter."""
    if how == "NONE":
        return [
            record for number, each in enumerate(done)
            if (record := _record(run, before, number, each))["Status"] == "SUCCEEDED"
        ]  # fmt: skip
    outputs = [each.get("data") for each in done if each is not None]
    if how == "COMPACT":
        return outputs
    return [
        inner for output in outputs for inner in (output if isinstance(output, list) else [output])
    ]


def _record(run: Running, before: Json, number: int, done: Json) -> dict[str, Json]:
    """Return the record of an item that ended."""
    name = f"{run.given.get('execution')}:{run.config['name']}:{number}"
    record = {
        "ExecutionArn": name,
        "Input": orjson.dumps(before["items"][number]["data"]).decode(),
        "InputDetails": {"Included": True},
        "Name": name,
        "StateMachineArn": run.config["machine"],
    }
    if done is None:
        return {**record, "Status": "FAILED"}
    output = orjson.dumps(done.get("data")).decode()
    return {
        **record,
        "Output": output,
        "OutputDetails": {"Included": True},
        "Status": "SUCCEEDED",
    }


async def files(run: Running) -> Json:
    """Return the files that a ResultWriter writes: the results, and last their manifest."""
    before, done = run.state
    run.state = before
    where = await run.taken()
    if not isinstance(where, dict) or not isinstance(where.get("Bucket"), str):
        raise TaskFailure("States.ResultWriterFailed", "Bucket of the ResultWriter is a text")
    bucket, prefix = where["Bucket"], str(where.get("Prefix") or "").strip("/")
    run_id = run.tools.randomness.new_id()
    folder = f"{prefix}/{run_id}" if prefix else run_id
    failed = [_record(run, before, number, one) for number, one in enumerate(done) if one is None]
    succeeded = _transformed(run, before, done, run.config["transformation"])
    made: list[Json] = []
    result_files: dict[str, Json] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for status, records in (("SUCCEEDED", succeeded), ("FAILED", failed)):
        if not records:
            continue
        body = _body(records, lines=run.config["lines"])
        key = f"{folder}/{status}_0.{'jsonl' if run.config['lines'] else 'json'}"
        made.append({"Bucket": bucket, "Key": key, "Body": body})
        result_files[status] = [{"Key": key, "Size": len(body.encode())}]
    arn = f"{run.given.get('execution')}/{run.config['name']}:{run_id}"
    manifest = {"DestinationBucket": bucket, "MapRunArn": arn, "ResultFiles": result_files}
    key = f"{folder}/manifest.json"
    made.append({"Bucket": bucket, "Key": key, "Body": _body(manifest, lines=False)})
    details = {"Bucket": bucket, "Key": key}
    return {
        **kept_of(before),
        "files": made,
        "written": {"MapRunArn": arn, "ResultWriterDetails": details},
    }


def _body(value: Json, *, lines: bool) -> str:
    if not lines:
        return orjson.dumps(value).decode()
    return "".join(orjson.dumps(each).decode() + "\n" for each in value)


async def written(run: Running) -> Json:
    """Return where the results of a Map were written."""
    before, _ = run.state
    run.state = before
    return await run.left(before["written"], before)
