"""The block of `ai.complete`: prompt, answer, tools, guards and budgets."""

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.definitions.schema_checks import check_schema
from flowmesh.expressions.patterns import cached_pattern

ON_BLOCKED = ("FAIL", "FALLBACK")
REDACTED = ("EMAILS", "CARDS", "KEYS")
BUDGETS = {
    "maxTokens": "Tokens of the step.",
    "maxUsd": "US dollars of the step.",
    "executionTokens": "Tokens of the whole execution.",
    "executionUsd": "US dollars of the whole execution.",
}
TOKENS_MAX = 64_000
REPAIRS_MAX = 5
TOOLS_MAX = 32
PATTERNS_MAX = 32
PATTERN_CHARACTERS_MAX = 1_000
BUDGET_MAX = 1e12
_VALUES = ("prompt", "messages", "results", "fallback")


def completed(body: Reader) -> dict[str, Json]:
    """Return the configuration of `ai.complete`."""
    config: dict[str, Json] = {name: body.raw(name) for name in _VALUES if body.has(name)}
    if not body.has("prompt") and not body.has("messages"):
        body.missing("prompt", "the prompt, or messages of an earlier step")
    if system := body.text("system", most=limits.CODE_CHARACTERS_MAX):
        config["system"] = system
    if provider := body.text("provider"):
        config["provider"] = provider
    if tokens := body.integer("maxTokens", 0, 1, TOKENS_MAX):
        config["maxTokens"] = tokens
    if body.has("repairs"):
        config["repairs"] = body.integer("repairs", 2, 0, REPAIRS_MAX)
    if body.has("outputSchema"):
        schema = body.object("outputSchema")
        config["outputSchema"] = schema.value
        check_schema(schema.value, schema.path, body.problems)
    config["onBlocked"] = body.choice("onBlocked", ON_BLOCKED, ON_BLOCKED[0])
    approves = body.flag("approve", False)
    if tools := _tools(body, approves=approves):
        config["tools"] = tools
    if body.has("guard"):
        config["guard"] = _guard(body.object("guard"))
    if body.has("budget"):
        budget = body.object("budget")
        found = {name: budget.number(name, 0, 0, BUDGET_MAX) for name in BUDGETS}
        config["budget"] = {name: value for name, value in found.items() if value}
        budget.refuse_unknown()
    return config


def _tools(body: Reader, *, approves: bool) -> list[Json]:
    found: list[Json] = []
    given = body.items("tools") if body.has("tools") else []
    if len(given) > TOOLS_MAX:
        message = f"at most {TOOLS_MAX} tools, not {len(given)}"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, "tools"))
        return found
    for number, value in enumerate(given):
        path = (*body.path, "tools", number)
        if not isinstance(value, dict):
            message = f"a tool is an object with a name, not {kind_of(value)}"
            body.problems.add("DEFINITION_INVALID", message, path)
            continue
        each = Reader(value, path, body.problems)
        tool: dict[str, Json] = {
            "name": each.required_text("name", "the name of the tool"),
            "description": each.text("description", most=limits.CODE_CHARACTERS_MAX),
            "changes": each.flag("changes", False),
        }
        if each.has("inputSchema"):
            schema = each.object("inputSchema")
            tool["inputSchema"] = schema.value
            check_schema(schema.value, schema.path, body.problems)
        if tool["changes"] and not approves:
            message = (
                f"{tool['name']} changes something: put an approval before its call, and set"
                " approve: true"
            )
            body.problems.add("DEFINITION_INVALID", message, (*path, "changes"))
        each.refuse_unknown()
        found.append(tool)
    return found


def _guard(body: Reader) -> dict[str, Json]:
    config: dict[str, Json] = {}
    if body.has("redact"):
        kinds = [str(each).upper() for each in body.items("redact")]
        config["redact"] = kinds
        if unknown := [each for each in kinds if each not in REDACTED]:
            message = f"redact has {', '.join(REDACTED)}, not {unknown[0][:64]!r}"
            body.problems.add("DEFINITION_INVALID", message, (*body.path, "redact"))
    for direction in ("input", "output"):
        given = body.object(direction)
        found = {name: _patterns(given, name) for name in ("deny", "allow") if given.has(name)}
        if found:
            config[direction] = found
        given.refuse_unknown()
    body.refuse_unknown()
    return config


def _patterns(body: Reader, key: str) -> list[Json]:
    patterns = body.items(key)
    if len(patterns) > PATTERNS_MAX:
        message = f"at most {PATTERNS_MAX} patterns, not {len(patterns)}"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, key))
        return []
    for number, each in enumerate(patterns):
        path = (*body.path, key, number)
        if not isinstance(each, str) or len(each) > PATTERN_CHARACTERS_MAX:
            message = f"a pattern is a text of at most {PATTERN_CHARACTERS_MAX} characters"
            body.problems.add("DEFINITION_INVALID", message, path)
            continue
        try:
            cached_pattern(each)
        except ValueError as error:
            body.problems.add("DEFINITION_INVALID", str(error), path)
    return patterns
