"""The places of services and libraries that evaluate text of tenants."""

import ast
from collections.abc import Iterator

ENGINES = frozenset(
    {
        *("_quickjs", "cel", "cronsim", "defusedxml", "jmespath", "jq", "jsonata", "jsonschema"),
        *("jsonpath_rfc9535", "jsonschema_rs", "re2", "regex", "sqlglot", "tree_sitter", "yaml"),
    }
)
"""Libraries that interpret a language."""

DOORS = frozenset(
    {
        *("compile_condition", "compile_template", "compile_text", "compile_go_template"),
        *("compile_jsonpath", "compile_pattern", "cached_pattern", "compile_pipeline"),
        *("compile_plan", "plan_of", "load_workflow", "read_source"),
        *("check_syntax", "expression_error", "jq_errors", "check_schema"),
        *("Evaluator", "transformed", "transformed_inline"),
    }
)
"""Functions of ours that compile or evaluate in the process of their caller."""

SCHEMAS = {"flowmesh.plan.schemas": "Schema", "flowmesh.schemas.compiling": "compiled"}
"""Names that mean something else in other modules."""


def evaluations(text: str) -> set[str]:
    """Return the ways in which a module compiles or evaluates text that is no constant."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        found.update(_imported(node) if not isinstance(node, ast.Call) else _called(node))
    return found


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (each.name.split(".")[0] for each in node.names if _is_engine(each.name))
    elif isinstance(node, ast.ImportFrom) and node.module:
        if _is_engine(node.module):
            yield node.module.split(".")[0]
        elif node.module.startswith("flowmesh."):
            own = DOORS | {SCHEMAS.get(node.module, "")}
            yield from (each.name for each in node.names if each.name in own)


def _called(node: ast.Call) -> Iterator[str]:
    match node.func:
        case ast.Name(id="exec" | "eval" | "compile" as name):
            yield name
        case ast.Attribute(value=ast.Name(id="re"), attr=name) if name != "escape":
            if node.args and not _is_constant(node.args[0]):
                yield "re"
        case ast.Attribute(attr="evaluate"):
            yield "evaluate"


def _is_engine(module: str) -> bool:
    return module.split(".")[0] in ENGINES


def _is_constant(node: ast.AST) -> bool:
    """Return whether a pattern is written in the source, of texts and constants."""
    if isinstance(node, ast.Call):
        return all(map(_is_constant, node.args))
    allowed = (ast.Constant, ast.Name, ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.Attribute)
    return isinstance(node, allowed) and not any(
        isinstance(each, ast.Name) and not each.id.isupper() for each in ast.walk(node)
    )
