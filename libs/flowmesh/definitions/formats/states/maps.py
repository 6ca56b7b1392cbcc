"""The Map state of the Amazon States Language, inline and distributed.

The items are computed first; each is the initial value of its own machine. A distributed Map may
read its items, group them in batches, tolerate failures and write its results. Objects are read
and written by worker tasks of the types `s3:getObject`, `s3:listObjectsV2` and `s3:putObject`.
"""

from flowmesh.definitions import limits
from flowmesh.definitions.formats.machines import Machine
from flowmesh.definitions.formats.states.compiler import (
    JSONATA,
    JsonObject,
    StateContext,
    expression_of,
    is_distributed,
    path_of,
    template_of,
)
from flowmesh.definitions.formats.states.services import service_of, warn_of_service
from flowmesh.definitions.model import ITEM_NAMES, NO_RETRY, Dialect, MapBody, Node, Task
from flowmesh.definitions.reading.reader import Reader

# Members of which a Map has exactly one.
PROCESSORS = ("ItemProcessor", "Iterator")
GET, LIST, PUT = "s3:getObject", "s3:listObjectsV2", "s3:putObject"
INPUT_TYPES = ("CSV", "JSON", "JSONL")
DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
TRANSFORMATIONS = ("NONE", "COMPACT", "FLATTEN")
LABEL_CHARACTERS_MAX = 40
HEADERS_MAX = 1_000
BATCH_BYTES_MAX = 262_144
_COMPUTED = ("ToleratedFailureCountPath", "ToleratedFailurePercentagePath", "MaxConcurrencyPath")
_DISTRIBUTED = (
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "ToleratedFailureCount",
    "ToleratedFailurePercentage",
    "Label",
)
READER_FAILED = "States.ItemReaderFailed"
WRITER_FAILED = "States.ResultWriterFailed"
TOO_MANY_FAILED = "States.ExceedToleratedFailureThreshold"


def compile_map(context: StateContext) -> None:
    reader = context.reader
    shape = context.shape("InputPath", "OutputPath", "ResultSelector", "ResultPath")
    distributed = is_distributed(reader.value)
    for key in _COMPUTED:
        if reader.has(key):
            context.refuse(key, key, why=f"write {key.removesuffix('Path')} as a number")
    for key in _DISTRIBUTED:
        if reader.has(key) and not distributed:
            why = "it belongs to a Map whose ItemProcessor has the Mode DISTRIBUTED"
            context.refuse(f"{key} of an inline Map", key, why=why)
    read, run, items = context.new("read"), context.new("run"), context.new("items")
    write = context.new("write")
    context.error_handling(
        context.entry,
        names={read: READER_FAILED, items: TOO_MANY_FAILED, write: WRITER_FAILED}
        if distributed
        else None,
    )
    config: JsonObject = {"op": "items"}
    if "input_path" in shape:
        config["input_path"] = shape.pop("input_path")
    config |= _items(context)
    most = reader.integer("MaxConcurrency", 0, 0, limits.MAP_CONCURRENCY_MAX)
    inner = context.machine.inner((*context.path, "ItemProcessor"), in_map=True)
    start = _processor(context, inner)
    tolerated = reader.integer("ToleratedFailureCount", 0, 0, limits.MAP_ITEMS_MAX)
    share = reader.number("ToleratedFailurePercentage", 0, 0, 100) / 100
    label = reader.text("Label", most=LABEL_CHARACTERS_MAX)
    body = MapBody(
        (inner.as_node(context.new("item"), start, "{{item}}", name=context.name),),
        most or limits.MAP_CONCURRENCY_DEFAULT,
        context.path,
        tolerated=tolerated,
        tolerated_share=share,
    )
    node = _node(context, items, "{{state.items}}", body=body, name=label)
    if reader.has("ItemBatcher"):
        config["batch"] = _batch(context)
    if reader.has("ItemReader"):
        _compile_reader(context, config, read, run)
    else:
        context.node(context.entry, config, run)
    result = context.new("result")
    writer = _writer(context) if reader.has("ResultWriter") else None
    mapped: JsonObject = {"op": "mapped", **shape, **({"transform": writer[0]} if writer else {})}
    if writer is None or not writer[1]:
        context.run_with_input(run, (node,), mapped, result)
        return
    # The results are written as files by a second map, one file after the other.
    files, puts = context.new("files"), context.new("puts")
    put = _task(context, write, PUT, "{{item}}", in_map=True)
    written = MapBody((put,), 1, context.path)
    context.run_with_input(run, (node,), {"op": "files", **writer[0]}, files, after=puts)
    file_items = _node(context, context.new("written"), "{{state.files}}", body=written)
    context.run_with_input(puts, (file_items,), {"op": "written", **shape}, result)


def _node(
    context: StateContext, node_id: str, given: str, *, body: MapBody, name: str = ""
) -> Node:
    return Node(
        node_id,
        context.machine.names.place((*context.path, node_id), node_id),
        name=name or context.name,
        input=given,
        has_input=True,
        body=body,
        bound=context.machine.bound,
    )


def _task(
    context: StateContext, node_id: str, type_: str, given: str, *, in_map: bool = False
) -> Node:
    """Return a node with a worker task."""
    return Node(
        node_id,
        context.machine.names.place((*context.path, node_id), node_id),
        name=context.name,
        task=Task(type_, type_, {}, Dialect.NATIVE, retry=NO_RETRY),
        input=given,
        has_input=True,
        retry=NO_RETRY,
        bound=context.machine.bound | (ITEM_NAMES if in_map else frozenset()),
    )


def _items(context: StateContext) -> JsonObject:
    """Return the configuration of a Map's items."""
    reader = context.reader
    found: JsonObject = {}
    if context.jsonata:
        for key, name in (("Items", "items"), ("ItemSelector", "selector")):
            if reader.has(key):
                found[name] = expression_of(reader, key)
        return found | {JSONATA: True}
    if reader.has("ItemsPath"):
        found["items_path"] = path_of(reader, "ItemsPath", null=False) or "$"
    selectors = [key for key in ("ItemSelector", "Parameters") if reader.has(key)]
    for key in selectors:
        found["selector"] = template_of(reader, key)
    if len(selectors) > 1:
        message = "a Map has ItemSelector or Parameters, not both"
        context.problems.add(
            "DEFINITION_INVALID", message, (*context.path, "Parameters"), at_key=True
        )
    return found


def _processor(context: StateContext, inner: Machine) -> str:
    keys = [key for key in PROCESSORS if context.reader.has(key)]
    if len(keys) != 1:
        context.reader.missing(
            "ItemProcessor", "StartAt and States of the machine to run for each item"
        )
        return ""
    processor = context.reader.object(keys[0])
    configuration = processor.object("ProcessorConfig")
    configuration.choice("Mode", ("INLINE", "DISTRIBUTED"), "INLINE")
    configuration.choice("ExecutionType", ("STANDARD", "EXPRESS"), "STANDARD")
    configuration.refuse_unknown()
    return inner_machine(context, inner, processor)


def inner_machine(context: StateContext, inner: Machine, reader: Reader) -> str:
    start = context.compiler.machine(inner, reader)
    reader.text("Comment", most=limits.DESCRIPTION_CHARACTERS_MAX)
    reader.refuse_unknown()
    return start


def _compile_reader(context: StateContext, config: JsonObject, read: str, run: str) -> None:
    """Compile the task that reads the items; the node behind it makes them."""
    reader = context.reader.object("ItemReader")
    for key in ("Items", "ItemsPath"):
        if context.reader.has(key):
            message = f"a Map has {key} or ItemReader, not both"
            path = (*context.path, key)
            context.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    type_ = _service(context, reader, (GET, LIST))
    config["reader"] = _reader_config(context, reader, type_)
    before = _parameters(context, reader)
    if "input_path" in config:
        before["input_path"] = config["input_path"]
    reader.refuse_unknown()
    call = context.new("call")
    context.node(context.entry, {"op": "before", **before}, call)
    task = _task(context, read, type_, "{{state.call}}")
    context.run_with_input(call, (task,), config, context.new("made"), after=run)


def _service(context: StateContext, reader: Reader, known: tuple[str, ...]) -> str:
    """Return the task type of a resource that reads or writes objects."""
    resource = reader.required_text("Resource", "arn:aws:states:::" + " or ".join(known))
    found = service_of(resource)
    if resource and found not in known:
        why = f"it is arn:aws:states:::{' or arn:aws:states:::'.join(known)}"
        path = reader.path[len(context.path) :]
        context.refuse(f"the resource {resource[:128]}", *path, "Resource", why=why)
        return known[-1]
    if found:
        warn_of_service(context, found, (*reader.path, "Resource"))
    return found or known[0]


def _parameters(context: StateContext, reader: Reader) -> JsonObject:
    if context.jsonata:
        if not reader.has("Arguments"):
            return {}
        return {"arguments": expression_of(reader, "Arguments"), JSONATA: True}
    return {"parameters": template_of(reader, "Parameters")} if reader.has("Parameters") else {}


def _reader_config(context: StateContext, reader: Reader, type_: str) -> JsonObject:
    config = reader.object("ReaderConfig")
    found: JsonObject = {"list": type_ == LIST}
    if most := config.integer("MaxItems", 0, 0, limits.MAP_ITEMS_MAX):
        found["most"] = most
    if config.has("MaxItemsPath"):
        found["most_path"] = path_of(config, "MaxItemsPath", null=False)
    if type_ == LIST:
        config.refuse_unknown()
        return found
    given = config.text("InputType")
    if given and given not in INPUT_TYPES:
        path = (*config.path[len(context.path) :], "InputType")
        why = f"objects are read as {', '.join(INPUT_TYPES)}"
        context.refuse(f"the InputType {given[:32]}", *path, why=why)
    elif not given:
        config.missing("InputType", " or ".join(INPUT_TYPES))
    found["type"] = given
    if config.has("ItemsPointer"):
        found["pointer"] = config.text("ItemsPointer")
    if given == "CSV":
        found |= _csv(config)
    config.refuse_unknown()
    return found


def _csv(config: Reader) -> JsonObject:
    delimiter = config.choice("CSVDelimiter", tuple(DELIMITERS), "COMMA")
    where = config.choice("CSVHeaderLocation", ("FIRST_ROW", "GIVEN"), "")
    if not where and not config.has("CSVHeaderLocation"):
        config.missing("CSVHeaderLocation", "FIRST_ROW or GIVEN")
    found: JsonObject = {"delimiter": DELIMITERS[delimiter]}
    headers = config.items("CSVHeaders")
    if where == "GIVEN":
        if not headers or not all(isinstance(each, str) for each in headers):
            config.missing("CSVHeaders", "the names of the columns")
        found["headers"] = headers[:HEADERS_MAX]
    return found


def _batch(context: StateContext) -> JsonObject:
    """Return the sizes of batches, and the input that each batch has beside its items."""
    batcher = context.reader.object("ItemBatcher")
    found: JsonObject = {}
    sizes = (
        ("MaxItemsPerBatch", "items", limits.MAP_BATCH_MAX),
        ("MaxInputBytesPerBatch", "bytes", BATCH_BYTES_MAX),
    )
    for key, name, most in sizes:
        if size := batcher.integer(key, 0, 1, most):
            found[name] = size
        if batcher.has(f"{key}Path"):
            found[f"{name}_path"] = path_of(batcher, f"{key}Path", null=False)
    if not found:
        batcher.missing("MaxItemsPerBatch", "the number of items of a batch")
    if batcher.has("BatchInput"):
        take = expression_of if context.jsonata else template_of
        found["input"] = take(batcher, "BatchInput")
    batcher.refuse_unknown()
    return found


def _writer(context: StateContext) -> tuple[JsonObject, bool]:
    """Return how results are written, and whether they go to a bucket."""
    writer = context.reader.object("ResultWriter")
    config = writer.object("WriterConfig")
    exports = writer.has("Resource")
    found: JsonObject = {
        "transformation": config.choice(
            "Transformation", TRANSFORMATIONS, "NONE" if exports else "COMPACT"
        ),
        "lines": config.choice("OutputType", ("JSON", "JSONL"), "JSON") == "JSONL",
    }
    config.refuse_unknown()
    if exports:
        _service(context, writer, (PUT,))
        found |= _parameters(context, writer)
        key = context.parameters
        given = writer.raw(key)
        names = {name.removesuffix(".$") for name in given} if isinstance(given, dict) else set()
        if "Bucket" not in names and isinstance(given, dict | None):
            path = (*writer.path, key, "Bucket")
            message = "Bucket is missing; it is where the results are written"
            context.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    elif not writer.has("WriterConfig"):
        writer.missing("Resource", f"arn:aws:states:::{PUT}, or WriterConfig")
    writer.refuse_unknown()
    return found, exports
