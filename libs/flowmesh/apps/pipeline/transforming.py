"""Operations of transformers: those of configurations, and every operation of transforms."""

from collections.abc import Callable

from flowmesh.apps.pipeline.templates import walk
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

Apply = Callable[[Json], Json]


def compile_operations(operations: Json, problems: list[str]) -> Apply:
    """Compile a list of operations `{type, config}`; append its problems to `problems`."""
    if not isinstance(operations, list):
        problems.append(f"operations is a list, not {kind_of(operations)}")
        return lambda value: value
    steps = [_operation(each, index, problems) for index, each in enumerate(operations)]

    def apply(value: Json) -> Json:
        for step in steps:
            value = step(value)
        return value

    return apply


def _operation(raw: Json, index: int, problems: list[str]) -> Apply:
    name = raw.get("type", raw.get("operation")) if isinstance(raw, dict) else None
    if not isinstance(name, str):
        problems.append(f"operations[{index}] needs a type")
        return lambda value: value
    config = raw.get("config")
    config = dict(config) if isinstance(config, dict) else {}
    rest = {k: v for k, v in raw.items() if k not in ("type", "operation", "config")}
    config = {**rest, **config}
    if name == "extract" and isinstance(config.get("path"), str):
        return _extract(config["path"])
    if name == "map" and isinstance(config.get("mappings"), dict):
        return _map(config["mappings"])
    if name == "filter" and isinstance(config.get("fields"), list):
        return _filter(config["fields"])
    if name == "convert":
        return _convert(str(config.get("to", "")), index, problems)
    from flowmesh.transforms import PipelineInvalid, TransformError, compile_pipeline
    from flowmesh.transforms.run import Run

    try:
        pipeline = compile_pipeline([{"operation": name, **config}])
    except PipelineInvalid as error:
        problems += [f"operations[{index}]: {each.message}" for each in error.problems]
        return lambda value: value

    def apply(value: Json) -> Json:
        from flowmesh.apps.http.problems import HttpProblem

        try:
            return pipeline.apply(value, Run(""))
        except TransformError as error:
            raise HttpProblem(422, "TRANSFORM_FAILED", f"{name}: {error}") from None

    return apply


def _extract(path: str) -> Apply:
    fields = tuple(path.removeprefix("$.").removeprefix(".").split("."))
    return lambda value: walk(value, fields)


def _map(mappings: dict[str, Json]) -> Apply:
    """Rename fields: the target by its source."""
    pairs = [(str(source).split("."), str(target)) for source, target in mappings.items()]

    def apply(value: Json) -> Json:
        if isinstance(value, list):
            return [apply(each) for each in value]
        if not isinstance(value, dict):
            return value
        sources = {source[0] for source, _ in pairs if len(source) == 1}
        kept = {key: each for key, each in value.items() if key not in sources}
        return {**kept, **{target: walk(value, tuple(source)) for source, target in pairs}}

    return apply


def _filter(fields: list[Json]) -> Apply:
    names = [str(each) for each in fields]

    def apply(value: Json) -> Json:
        if isinstance(value, list):
            return [apply(each) for each in value]
        return {n: value[n] for n in names if n in value} if isinstance(value, dict) else value

    return apply


def _convert(to: str, index: int, problems: list[str]) -> Apply:
    import orjson

    if to == "json":
        return lambda value: orjson.dumps(value).decode()
    if to in ("map", "object", "data"):
        return lambda value: orjson.loads(value) if isinstance(value, str) else value
    if to in ("string", "text"):
        return lambda value: value if isinstance(value, str) else orjson.dumps(value).decode()
    problems.append(f"operations[{index}]: convert knows json, map and string, not {to!r}")
    return lambda value: value
