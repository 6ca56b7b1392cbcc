"""Distributed Maps of the Amazon States Language, from their objects to their results."""

import json

import pytest

from flowmesh.contract.json_value import Json
from tests.unit.dryrun.conftest import Run

DISTRIBUTED = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
GET = "arn:aws:states:::s3:getObject"
LIST = "arn:aws:states:::s3:listObjectsV2"
PUT = "arn:aws:states:::s3:putObject"
NUMBER = {"Variable": "$.n", "NumericGreaterThan": 2, "Next": "Bad"}
ONE = {
    "StartAt": "Ask",
    "States": {
        "Ask": {"Type": "Choice", "Choices": [NUMBER], "Default": "Good"},
        "Good": {"Type": "Pass", "End": True, "Parameters": {"was.$": "$.n"}},
        "Bad": {"Type": "Fail", "Error": "TooLarge"},
    },
}
ECHO = {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}}


def source(processor: Json, *, after: Json = None, **more: Json) -> str:
    """Return a document with one distributed Map."""
    each = {
        "Type": "Map",
        "ItemProcessor": {"ProcessorConfig": DISTRIBUTED, **processor},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "Label": "each",
        "End": True,
        **more,
    }
    caught = {"Type": "Pass", "End": True, "Parameters": {"error.$": "$.Error"}}
    return json.dumps({"StartAt": "Each", "States": {"Each": each, "Caught": caught}})


def reading(resource: str = GET, **config: Json) -> Json:
    return {
        "Resource": resource,
        "ReaderConfig": config,
        "Parameters": {"Bucket": "in", "Key.$": "$.key"},
    }


NUMBERS = {"items": [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]}


@pytest.mark.parametrize(
    ("limits", "fails"),
    [
        ({}, True),
        ({"ToleratedFailureCount": 1}, True),
        ({"ToleratedFailureCount": 2}, False),
        ({"ToleratedFailurePercentage": 49}, True),
        ({"ToleratedFailurePercentage": 50}, False),
        ({"ToleratedFailureCount": 2, "ToleratedFailurePercentage": 1}, False),
    ],
)
async def test_failed_items_are_tolerated_up_to_the_limit(
    run: Run, limits: Json, fails: bool
) -> None:
    """The outputs are those of the others; above the limit the state has an error of its own."""
    done = await run(source(ONE, ItemsPath="$.items", **limits), NUMBERS)
    failed = {"error": "States.ExceedToleratedFailureThreshold"}
    assert done.output == (failed if fails else [{"was": 1}, {"was": 2}])


OBJECTS: dict[str, tuple[Json, Json, Json]] = {
    "csv with a head": (
        {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
        {"Body": '\ufeffid,name\n1,"a, b"\n2\n'},
        [{"id": "1", "name": "a, b"}, {"id": "2", "name": ""}],
    ),
    "csv with given columns": (
        {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["x"],
         "CSVDelimiter": "PIPE", "MaxItems": 1},
        {"Body": "1|2\n3|4\n"},
        [{"x": "1"}],
    ),
    "json": ({"InputType": "JSON"}, {"Body": "[1, {}]"}, [1, {}]),
    "json that is parsed": ({"InputType": "JSON"}, {"Body": [1, None]}, [1, None]),
    "json inside of an object": (
        {"InputType": "JSON", "ItemsPointer": "/a/b~1c"}, {"Body": '{"a": {"b/c": [7]}}'}, [7],
    ),
    "lines": ({"InputType": "JSONL", "MaxItemsPath": "$.most"}, {"Body": '{"a": 1}\n\n2\n3'},
              [{"a": 1}, 2]),
    "nothing": ({"InputType": "JSONL"}, {"Body": ""}, []),
}  # fmt: skip


@pytest.mark.parametrize("kind", OBJECTS)
async def test_items_are_read_from_an_object(run: Run, kind: str) -> None:
    """A worker task gets the object; its text becomes the items."""
    config, answer, expected = OBJECTS[kind]
    text = source(ECHO, ItemReader=reading(**config))
    done = await run(text, {"key": "k", "most": 2}, mocks={"s3:getObject": {"output": answer}})
    assert (done.status, done.output) == ("completed", expected), done.error


async def test_items_are_the_objects_of_a_bucket(run: Run) -> None:
    """As the listing has them; one that goes on would lose items."""
    listing = {"Contents": [{"Key": "a", "Size": 1}, {"Key": "b", "Size": 2}]}
    text = source(ECHO, ItemReader=reading(LIST), ItemSelector={"k.$": "$$.Map.Item.Value.Key"})
    mock = {"s3:listObjectsV2": {"output": listing}}
    assert (await run(text, {"key": "k"}, mocks=mock)).output == [{"k": "a"}, {"k": "b"}]
    truncated = {"s3:listObjectsV2": {"output": {**listing, "IsTruncated": True}}}
    found = await run(text, {"key": "k"}, mocks=truncated)
    assert found.output == {"error": "States.ItemReaderFailed"}


@pytest.mark.parametrize(
    ("config", "body"),
    [
        ({"InputType": "JSON"}, "{"),
        ({"InputType": "JSON"}, "{}"),
        ({"InputType": "JSON", "ItemsPointer": "/x"}, "[]"),
        ({"InputType": "JSONL"}, '{"a": NaN}'),
        ({"InputType": "JSON"}, None),
    ],
)
async def test_an_object_without_items_fails_the_reading(
    run: Run, config: Json, body: Json
) -> None:
    """With the name that the language has for it."""
    text = source(ECHO, ItemReader=reading(**config))
    done = await run(text, {"key": "k"}, mocks={"s3:getObject": {"output": {"Body": body}}})
    assert done.output == {"error": "States.ItemReaderFailed"}


async def test_a_reading_task_that_fails_has_the_name_of_the_language(run: Run) -> None:
    """The failure of the reader is States.ItemReaderFailed."""
    text = source(ECHO, ItemReader=reading(InputType="JSON"))
    mocks = {"s3:getObject": {"failure": {"class": "NoSuchKey", "message": "gone"}}}
    assert (await run(text, {"key": "k"}, mocks=mocks)).output == {
        "error": "States.ItemReaderFailed"
    }


@pytest.mark.parametrize(
    ("batcher", "sizes"),
    [
        ({"MaxItemsPerBatch": 3}, [3, 1]),
        ({"MaxInputBytesPerBatch": 52}, [2, 2]),
        ({"MaxItemsPerBatch": 1, "MaxInputBytesPerBatch": 52}, [1, 1, 1, 1]),
        ({"MaxItemsPerBatchPath": "$.size"}, [4]),
    ],
)
async def test_items_come_in_batches(run: Run, batcher: Json, sizes: list[int]) -> None:
    """Of a number or of bytes, with an input that they share."""
    more = {"ItemBatcher": {**batcher, "BatchInput": {"day.$": "$.day"}}}
    done = await run(source(ECHO, ItemsPath="$.items", **more), {**NUMBERS, "day": 1, "size": 9})
    assert [len(each["Items"]) for each in done.output] == sizes, done.error
    assert {json.dumps(each["BatchInput"]) for each in done.output} == {'{"day": 1}'}
    assert [one for each in done.output for one in each["Items"]] == NUMBERS["items"]


async def test_results_are_written_as_files_with_a_manifest(run: Run) -> None:
    """Records of all items, failed ones apart; the state returns where the manifest is."""
    writer = {"Resource": PUT, "Parameters": {"Bucket": "out", "Prefix": "runs"}}
    more = {"ItemsPath": "$.items", "ToleratedFailureCount": 2, "ResultWriter": writer}
    done = await run(source(ONE, **more), NUMBERS, mocks={"s3:putObject": {"output": {}}})
    assert done.status == "completed", done.error
    details = done.output["ResultWriterDetails"]
    assert details["Bucket"] == "out"
    assert details["Key"].startswith("runs/")
    assert details["Key"].endswith("/manifest.json")
    written = [call.input for call in done.calls]
    names = [each["Key"].rpartition("/")[2] for each in written]
    assert names == ["SUCCEEDED_0.json", "FAILED_0.json", "manifest.json"]
    good, bad, manifest = (json.loads(each["Body"]) for each in written)
    assert [json.loads(each["Output"]) for each in good] == [{"was": 1}, {"was": 2}]
    assert [json.loads(each["Input"]) for each in bad] == [{"n": 3}, {"n": 4}]
    assert manifest["ResultFiles"]["SUCCEEDED"][0]["Key"] == written[0]["Key"]
    assert manifest["DestinationBucket"] == "out"


@pytest.mark.parametrize(
    ("config", "expected"),
    [({"Transformation": "COMPACT"}, [[1, 2], [3]]), ({"Transformation": "FLATTEN"}, [1, 2, 3])],
)
async def test_results_are_transformed_without_a_file(
    run: Run, config: Json, expected: Json
) -> None:
    """A ResultWriter without a Resource changes the result alone."""
    more = {"ItemsPath": "$.all", "ResultWriter": {"WriterConfig": config}}
    assert (await run(source(ECHO, **more), {"all": [[1, 2], [3]]})).output == expected


async def test_results_that_cannot_be_written_fail_the_state(run: Run) -> None:
    """The failure of the writer is States.ResultWriterFailed."""
    writer = {"Resource": PUT, "Parameters": {"Bucket": "out"}}
    text = source(ONE, ItemsPath="$.items", ToleratedFailureCount=2, ResultWriter=writer)
    mocks = {"s3:putObject": {"failure": {"class": "AccessDenied", "message": "no"}}}
    assert (await run(text, NUMBERS, mocks=mocks)).output == {"error": "States.ResultWriterFailed"}


async def test_distributed_maps_speak_jsonata(run: Run) -> None:
    """Arguments of the reader, the input of batches, and the selector of items."""
    each = {
        "Type": "Map",
        "End": True,
        "ItemReader": {
            "Resource": GET,
            "ReaderConfig": {"InputType": "JSON"},
            "Arguments": {"Bucket": "in", "Key": "{% $states.input.key %}"},
        },
        "ItemSelector": {"id": "{% $states.context.Map.Item.Value %}"},
        "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"k": "{% $states.input.key %}"}},
        "ItemProcessor": {"ProcessorConfig": DISTRIBUTED, **ECHO},
    }
    text = json.dumps({"QueryLanguage": "JSONata", "StartAt": "E", "States": {"E": each}})
    done = await run(text, {"key": "a"}, mocks={"s3:getObject": {"output": {"Body": "[1, 2, 3]"}}})
    assert done.calls[0].input == {"Bucket": "in", "Key": "a"}
    assert done.output == [
        {"BatchInput": {"k": "a"}, "Items": [{"id": 1}, {"id": 2}]},
        {"BatchInput": {"k": "a"}, "Items": [{"id": 3}]},
    ], done.error
