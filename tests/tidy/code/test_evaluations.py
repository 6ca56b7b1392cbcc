"""Text of tenants is compiled and evaluated in known places, each of which is bounded.

Bounded means: in a child process of the sandbox, in a thread, or on the event loop with a bound of
some 20 ms. A new place is a decision, made here with its reason.
"""

import pytest

from tests.tidy import sources
from tests.tidy.code.evaluations import evaluations

ELSEWHERE = {
    "libs/flowmesh/apps/": "runs in the process of the application, which has one tenant",
    "libs/flowmesh/definitions/bundled/": "reads files of the distribution",
    "libs/flowmesh/cli/": "runs on the machine of the user",
    "libs/flowmesh/connectors/": "runs in a process of the operator, from the operator's file",
    "libs/flowmesh/sdk/testing/": "runs in tests of the user",
    "libs/flowmesh/testing/": "runs in tests",
}
"""Folders that no process of several tenants runs."""

PURE = {
    "libs/flowmesh/definitions/": "called in a thread by CompilationCache of the definition service"
    " and `to_thread` of the gateway; schemas of queues and triggers have bounds of their own",
}
"""Libraries whose callers in services are listed below."""

PLACES = {
    # Doors with a bound of their own.
    "libs/flowmesh/expressions/conditions.py": (
        "cached_pattern cel check_syntax compile_jsonpath expression_error",
        "4,096 characters; `is_prompt` says what may be evaluated on the loop",
    ),
    "libs/flowmesh/expressions/functions/dates.py": ("re", "a pattern of 64 characters, escaped"),
    "libs/flowmesh/expressions/go_templates.py": ("compile_template", "linear in its text"),
    "libs/flowmesh/expressions/jsonpath.py": (
        "compile_pattern jsonpath_rfc9535",
        "200 tokens, 250,000 steps; patterns count by their size",
    ),
    "libs/flowmesh/expressions/patterns.py": ("re2", "bounds the program of each pattern"),
    "libs/flowmesh/expressions/secrets.py": ("compile_template", "linear in its text"),
    "libs/flowmesh/plan/schemas.py": (
        "jsonschema_rs",
        "linear search; VALIDATION_COST_MAX; patterns are bounded at registration",
    ),
    "libs/flowmesh/records/structs.py": ("eval", "at import, names of structs of our own only"),
    "libs/flowmesh/runtime/http/router.py": ("re2", "patterns of routes of one application only"),
    "libs/flowmesh/plugins/manifest.py": ("compiled", "of a signed wheel, 64 KiB, in a thread"),
    "libs/flowmesh/schemas/compiling.py": ("jsonschema_rs", "see plan/schemas.py"),
    "libs/flowmesh/schemas/shapes.py": ("compiled jsonschema_rs", "in threads, see definitions"),
    "libs/flowmesh/sandbox/syntax.py": (
        "_quickjs jmespath",
        "parses, runs nothing; jq in a child; called in threads",
    ),
    "libs/flowmesh/sandbox/typescript.py": ("tree_sitter", "parses, in threads"),
    "libs/flowmesh/sql/statement.py": ("sqlglot", "at the preparation of a task; bounded text"),
    # In child processes of the sandbox.
    "libs/flowmesh/expressions/evaluator.py": ("compile_condition evaluate", "in a child"),
    "libs/flowmesh/sandbox/child.py": ("_quickjs evaluate jmespath jq jsonata", "in a child"),
    "libs/flowmesh/sandbox/confined.py": ("compile exec", "in a child"),
    "libs/flowmesh/transforms/remote.py": ("compile_pipeline", "in a child"),
    "libs/flowmesh/executors/code/jq.py": ("evaluate", "`evaluate` of the sandbox"),
    "libs/flowmesh/executors/code/jsonata.py": ("evaluate", "`evaluate` of the sandbox"),
    # On the loop what is prompt, in a child what is not.
    "libs/flowmesh/executors/code/conditions.py": ("compile_condition evaluate", "`is_prompt`"),
    "libs/flowmesh/executors/code/transform.py": (
        "compile_pipeline transformed_inline",
        "`has_many_patterns`, TooCostly",
    ),
    "libs/flowmesh/transforms/driving.py": ("compile_pipeline evaluate", "TooCostly"),
    "libs/flowmesh/transforms/operations/arrays.py": ("compile_condition", "see pipeline"),
    "libs/flowmesh/transforms/operations/conditions.py": ("compile_pattern", "see pipeline"),
    "libs/flowmesh/transforms/operations/control.py": ("compile_condition", "see pipeline"),
    "libs/flowmesh/transforms/operations/objects.py": ("compile_text", "see pipeline"),
    "libs/flowmesh/transforms/operations/strings.py": ("compile_text", "see pipeline"),
    "libs/flowmesh/transforms/parameters.py": ("compile_text", "see pipeline"),
    "libs/flowmesh/transforms/pipeline.py": (
        "check_syntax jq_errors",
        "programs are checked in threads only, by `pipeline_problems`",
    ),
    "libs/flowmesh/triggers/filters.py": ("compile_condition evaluate", "`is_prompt`"),
    "libs/flowmesh/dryrun/expectations.py": ("compile_condition evaluate", "`is_prompt`"),
    # Templates: linear in text and values, with a limit of output.
    "libs/flowmesh/dryrun/mocks.py": ("compile_template", "linear, bounded output"),
    "libs/flowmesh/executors/http/request.py": (
        "compile_template compile_text",
        "linear, bounded output",
    ),
    "libs/flowmesh/executors/templates.py": ("compile_template", "linear, bounded output"),
    "libs/flowmesh/plan/compiled.py": ("Schema compile_template", "linear, bounded output"),
    "libs/flowmesh/plan/policies.py": ("compile_template", "linear, bounded output"),
    "libs/flowmesh/triggers/inputs.py": ("compile_template", "linear, bounded output"),
    # Values against schemas, texts of other notations.
    "services/flowmesh/orchestrator/storage/bucket.py": (
        "defusedxml",
        "an answer of the archive's bucket, which operators name; of bounded size, no entities",
    ),
    "libs/flowmesh/executors/http/xml.py": ("defusedxml", "an answer of bounded size, no entities"),
    "libs/flowmesh/executors/schemas.py": ("Schema", "see plan/schemas.py"),
    "libs/flowmesh/executors/completion/guard.py": ("cached_pattern", "searches in threads"),
    "libs/flowmesh/insight/optimizing/rules.py": ("re", "an escaped id of a node, linear"),
    "libs/flowmesh/models/rules.py": ("re", "an escaped name; at most 400,000 characters"),
    "libs/flowmesh/executors/secrets.py": ("compile_template", "texts of definitions"),
    "libs/flowmesh/jsontext/masks.py": ("re", "escaped texts of secrets and sensitive members"),
    "libs/flowmesh/standards/intrinsics.py": ("re", "a class of escaped characters"),
    "libs/flowmesh/standards/jsonata.py": ("jsonata", "parses in threads; runs in a child"),
    "libs/flowmesh/standards/paths.py": ("compile_jsonpath", "see expressions/jsonpath.py"),
    "libs/flowmesh/triggers/schedule.py": ("cronsim", "five or six fields; instants in pages"),
    # Dry runs: plans are compiled in threads.
    "libs/flowmesh/dryrun/masking.py": ("compile_plan", "in a thread"),
    "libs/flowmesh/dryrun/run.py": ("compile_plan", "in a thread"),
    "libs/flowmesh/dryrun/source.py": ("compile_plan read_source", "on the machine of the user"),
    "libs/flowmesh/dryrun/suites.py": (
        "compile_plan compile_template read_source",
        "`read_tests` in a thread",
    ),
    # Services.
    "services/flowmesh/assistant/offline/inputs.py": ("re", "names of parameters of our own list"),
    "services/flowmesh/assistant/offline/provider.py": ("yaml", "writes, bounded documents"),
    "services/flowmesh/assistant/rehearsal.py": ("yaml", "256 KiB, in a thread"),
    "services/flowmesh/definition/audit.py": ("load_workflow", "in a thread"),
    "services/flowmesh/definition/catalog.py": ("load_workflow", "in a thread"),
    "services/flowmesh/definition/checks/checking.py": ("load_workflow", "in a thread"),
    "services/flowmesh/definition/checks/compiled.py": ("load_workflow read_source", "in a thread"),
    "services/flowmesh/definition/compatibility.py": ("load_workflow plan_of", "in a thread"),
    "services/flowmesh/definition/optimizing/optimizer.py": ("yaml", "writes, bounded documents"),
    "services/flowmesh/definition/templates.py": ("yaml", "writes, bounded documents"),
    "services/flowmesh/definition/versions.py": ("load_workflow", "in a thread"),
    "services/flowmesh/broker/declarations.py": ("check_schema", "64 KiB, in a thread"),
    "services/flowmesh/broker/topology.py": ("Schema", "see plan/schemas.py"),
    "services/flowmesh/event/intake/audited.py": ("re", "numbers of fields"),
    "services/flowmesh/event/notifications/checks.py": (
        "compile_condition compile_template",
        "compiles one of each",
    ),
    "services/flowmesh/event/notifications/compiled.py": ("compile_template", "bounded output"),
    "services/flowmesh/event/triggers/webhooks.py": ("Schema", "256 KiB, compiled once"),
    "services/flowmesh/gateway/routes/definitions/formats.py": ("load_workflow", "in a thread"),
    "services/flowmesh/gateway/routes/definitions/resources.py": ("read_source", "in a thread"),
    "services/flowmesh/orchestrator/model/plans.py": ("compile_plan", "once per version"),
}
"""Modules by the ways in which they evaluate, and why that is bounded."""

EVALUATES_ON_THE_LOOP = """
from flowmesh.expressions import compile_condition

class RuleStep(InlineStep):
    def run(self, attempt):
        return compile_condition(self.rule, dialect="cel").evaluate(attempt.value)
"""


def unknown(modules: dict[str, str]) -> list[str]:
    """Return the modules that evaluate in a way that is not listed."""
    apart = (*ELSEWHERE, *PURE)
    return [
        f"{path}: {', '.join(sorted(more))}"
        for path, text in modules.items()
        if not path.startswith(apart) and not path.endswith("__init__.py")
        if (more := evaluations(text) - set(PLACES.get(path, ("",))[0].split()))
    ]


def product() -> dict[str, str]:
    folders = ("libs/flowmesh/", "services/flowmesh/")
    return {name: sources.text(name) for name in sources.python() if name.startswith(folders)}


def test_text_of_tenants_is_evaluated_in_listed_places_only() -> None:
    """Every place that evaluates is in the table, and every row of the table is true."""
    modules = product()
    assert not unknown(modules), sources.lines(unknown(modules))
    gone = [
        f"{path}: {way}"
        for path, (ways, _) in PLACES.items()
        for way in ways.split()
        if path not in modules or way not in evaluations(modules[path])
    ]
    assert not gone, sources.lines(gone)


@pytest.mark.parametrize(
    "text",
    [
        EVALUATES_ON_THE_LOOP,
        "import re\ndef f(text, value):\n    return re.search(text, value)\n",
        "import re\nPATTERN = re.compile(given.pattern)\n",
        "def f():\n    import jsonschema_rs\n",
        "from re2 import compile\n",
        "value = eval(text)\n",
        "from flowmesh.plan.schemas import Schema\n",
    ],
)
def test_a_new_place_is_found(text: str) -> None:
    """Among others an executor that evaluates on the event loop."""
    path = "libs/flowmesh/executors/code/rules.py"
    assert [each.partition(":")[0] for each in unknown({path: text})] == [path]
    assert unknown({path: "import re\nPATTERN = re.compile(NAME + '+')\n"}) == []
