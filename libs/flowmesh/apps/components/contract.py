"""Contracts of components: required and optional inputs, and outputs, each with a type."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

TYPES = ("string", "int", "bool", "float", "map", "slice", "any")
FIELDS_MAX = 200
_PARTS = ("required_inputs", "optional_inputs", "outputs")


class ContractInvalid(ValueError):
    """A contract that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Contract:
    """The types of inputs and outputs by name; without any, everything is allowed."""

    required: Mapping[str, str] = field(default_factory=dict)
    optional: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    text: Mapping[str, Json] = field(default_factory=dict)

    def checked_input(self, params: Mapping[str, Json]) -> dict[str, Json]:
        """Return the inputs with defaults. Raises HttpProblem with all violations."""
        found = [_missing(name) for name in self.required if params.get(name) is None]
        for name, kind in {**self.required, **self.optional}.items():
            value = params.get(name)
            if value is not None and not fits(kind, value):
                found.append(_wrong(name, kind, value))
        if found:
            raise HttpProblem(422, "VALIDATION_FAILED", _joined(found), violations=found)
        return {**self.defaults, **params}

    def check_output(self, output: Mapping[str, Json]) -> None:
        """Raise HttpProblem if the output is not what the contract says."""
        found = [_missing(name) for name in self.outputs if name not in output]
        found += [
            _wrong(name, kind, output[name])
            for name, kind in self.outputs.items()
            if output.get(name) is not None and not fits(kind, output[name])
        ]
        if found:
            text = f"the output breaks the contract: {_joined(found)}"
            raise HttpProblem(502, "COMPONENT_CONTRACT", text, violations=found)

    def narrowed(self, other: "Contract") -> list[str]:
        """Return why callers of this contract could not use the other one."""
        found = [f"{n} is required now" for n in other.required if n not in self.required]
        for name, kind in {**self.required, **self.optional}.items():
            now = other.required.get(name, other.optional.get(name, kind))
            if now not in ("any", kind):
                found.append(f"{name} was {kind} and is {now}")
        for name, kind in self.outputs.items():
            if name not in other.outputs:
                found.append(f"the output {name} is gone")
            elif kind not in ("any", other.outputs[name]):
                found.append(f"the output {name} was {kind} and is {other.outputs[name]}")
        return found


def read_contract(raw: Json) -> Contract:
    """Read a contract. Raises ContractInvalid."""
    if raw is None:
        return Contract()
    if not isinstance(raw, dict) or any(key not in _PARTS for key in raw):
        raise ContractInvalid(f"a contract is an object with {', '.join(_PARTS)}")
    parts = {name: _fields(name, raw.get(name) or {}) for name in _PARTS}
    optional = parts["optional_inputs"]
    return Contract(
        required={name: each["type"] for name, each in parts["required_inputs"].items()},
        optional={name: each["type"] for name, each in optional.items()},
        defaults={name: each["default"] for name, each in optional.items() if "default" in each},
        outputs={name: each["type"] for name, each in parts["outputs"].items()},
        text=raw,
    )


def fits(kind: str, value: Json) -> bool:
    """Return whether a value has a type of contracts."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "map":
            return isinstance(value, dict)
        case "slice":
            return isinstance(value, list)
    return True


def _fields(part: str, raw: Json) -> dict[str, dict[str, Json]]:
    if not isinstance(raw, dict) or len(raw) > FIELDS_MAX:
        raise ContractInvalid(f"{part} is an object of at most {FIELDS_MAX} fields")
    found = {}
    for name, each in raw.items():
        given = each if isinstance(each, dict) else {"type": each}
        if given.get("type", "any") not in TYPES:
            kind = given.get("type")
            raise ContractInvalid(
                f"{part}.{name}: a type is one of {', '.join(TYPES)}, not {kind!r}"
            )
        found[str(name)] = {"type": "any", **given}
    return found


def _missing(name: str) -> dict[str, Json]:
    return {"field": name, "message": f"{name} is missing"}


def _wrong(name: str, kind: str, value: Json) -> dict[str, Json]:
    return {"field": name, "message": f"{name} must be {kind}, not {kind_of(value)}"}


def _joined(found: list[dict[str, Json]]) -> str:
    return "; ".join(str(each["message"]) for each in found[:10])
