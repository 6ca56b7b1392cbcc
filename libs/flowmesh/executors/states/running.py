"""One attempt of a state of the Amazon States Language, with its input and output processing.

Covers both query languages, the context object and the variables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Sender
from flowmesh.executors.code.jsonata import Fill
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.publish import Publisher
from flowmesh.expressions import instant
from flowmesh.standards.intrinsics import Randomness
from flowmesh.standards.paths import Context, compile_path, compile_reference, put
from flowmesh.standards.payloads import fill_template


@dataclass(frozen=True, slots=True)
class Tools:
    egress: Sender
    now_us: NowUs
    randomness: Randomness
    fill: Fill
    # Without one, states that publish fail.
    publisher: Publisher | None = None


class Running:
    """One attempt of a state."""

    def __init__(self, config: dict[str, Json], tools: Tools, attempt: Attempt) -> None:
        self.config = config
        self.tools = tools
        self.attempt = attempt
        self.given: dict[str, Json] = attempt.value
        self.state = self.given["state"]
        # The task token of a state that waits for an external result.
        self.token = ""

    @property
    def data(self) -> Json:
        return self.state.get("data")

    @property
    def context(self) -> Context:
        """Return the context object, `$$`."""
        state = self.state if isinstance(self.state, dict) else {}
        execution, machine = self.given.get("execution"), self.config.get("machine")
        found: dict[str, Json] = {
            "Execution": {
                "Id": execution,
                "Input": self.given.get("input"),
                "Name": execution,
                "StartTime": self.given.get("started"),
            },
            "State": {
                "Name": self.config["name"],
                "EnteredTime": instant(self.tools.now_us()),
                "RetryCount": sum((state.get("retries") or {}).get("counts", ())),
            },
            "StateMachine": {"Id": machine, "Name": machine},
        }
        if "map" in state:
            found["Map"] = {"Item": state["map"]}
        if self.token:
            found["Task"] = {"Token": self.token}
        return Context(found, state.get("variables") or {})

    async def evaluated(self, template: Json, **states: Json) -> Json:
        """Evaluate a JSONata template; `states` adds members to `$states`."""
        [made] = await self.evaluated_for([{}], template, states)
        return made

    async def evaluated_for(
        self, contexts: Sequence[Json], template: Json, states: Mapping[str, Json]
    ) -> list[Json]:
        """Evaluate a template once for each of these additions to the context object."""
        context = self.context
        known = {"input": self.data, **states}
        each = [{**known, "context": {**context, **more}} for more in contexts]
        limit = self.attempt.timeout_ms
        return await self.tools.fill(template, each, context.variables, limit)

    def at(self, key: str, data: Json) -> Json:
        """Select by the configured path; null selects an empty object."""
        if key not in self.config:
            return data
        path = self.config[key]
        return {} if path is None else compile_path(path).find(data, self.context)

    def fill_template(self, key: str, data: Json) -> Json:
        if key not in self.config:
            return data
        return fill_template(self.config[key], data, self.context, self.tools.randomness)

    async def taken(self) -> Json:
        """Return the effective input: InputPath, then Parameters; in JSONata, Arguments."""
        if "arguments" in self.config:
            return await self.evaluated(self.config["arguments"])
        return self.fill_template("parameters", self.at("input_path", self.data))

    async def left(self, result: Json, state: dict[str, Json]) -> dict[str, Json]:
        """Return the value after a state with this result."""
        if self.config.get("jsonata"):
            return await self.made(self.config, state, result, result=result)
        kept = kept_of(state)
        if "assign" in self.config:
            kept["variables"] = {**kept["variables"], **self.fill_template("assign", result)}
        result = self.fill_template("result_selector", result)
        output = result
        if "result_path" in self.config:
            path = self.config["result_path"]
            before = state.get("data")
            keys = compile_reference(path).keys if path is not None else None
            output = before if keys is None else put(before, keys, result)
        return {**kept, "data": self.at("output_path", output)}

    async def made(
        self, config: dict[str, Json], state: dict[str, Json], data: Json, **states: Json
    ) -> dict[str, Json]:
        """Return the value after a JSONata state: Output or else `data`, and its variables."""
        asked = {key: config[key] for key in ("output", "assign") if key in config}
        made = await self.evaluated(asked, **states)
        kept = kept_of(state)
        if "assign" in made:
            kept["variables"] = {**kept["variables"], **made["assign"]}
        return {**kept, "data": made.get("output", data)}


def kept_of(state: dict[str, Json]) -> dict[str, Json]:
    """Return the members that pass from one state to the next."""
    return {key: value for key, value in state.items() if key in ("data", "map", "variables")}
