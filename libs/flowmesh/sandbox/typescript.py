"""TypeScript to JavaScript: types become spaces, so all other code keeps its place.

Constructs that need generated code (enums, namespaces, decorators, parameter properties) are
rejected by name. The parser is tree-sitter, imported at first use.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

CODE_CHARACTERS_MAX = 64 * 1024
# Statements and members without an effect; the code around them must stay separate.
_STATEMENTS = frozenset(
    {
        "abstract_method_signature", "ambient_declaration", "function_signature", "index_signature",
        "interface_declaration", "method_signature", "type_alias_declaration",
    }
)  # fmt: skip
_TYPES = frozenset(
    {
        "accessibility_modifier", "asserts_annotation", "implements_clause", "override_modifier",
        "type_annotation", "type_arguments", "type_parameters", "type_predicate_annotation",
    }
)  # fmt: skip
_REFUSED = {
    "enum_declaration": "an enum",
    "internal_module": "a namespace",
    "module": "a module",
    "decorator": "a decorator",
    "import_alias": "import … = …",
}
# Tokens of types, by their enclosing node.
_TOKENS = {
    "?": ("method_definition", "optional_parameter", "public_field_definition"),
    "!": ("non_null_expression", "public_field_definition", "variable_declarator"),
    "readonly": ("public_field_definition",),
    "abstract": ("abstract_class_declaration",),
}
_PARAMETERS = ("optional_parameter", "required_parameter")
_MODIFIERS = frozenset({"accessibility_modifier", "override_modifier", "readonly"})
# After a type these start a new statement; after an expression they continue it.
_CONTINUES = re.compile(rb"[ \t]*\r?\n\s*[(\[`]")


class TypeScriptInvalid(Exception):
    """The code is not TypeScript, or needs more than erasing its types; names the line."""


def javascript_of(code: str) -> str:
    """Return the function body without its types. Raises TypeScriptInvalid."""
    if len(code) > CODE_CHARACTERS_MAX:
        raise TypeScriptInvalid(f"the code is longer than {CODE_CHARACTERS_MAX} characters")
    import tree_sitter
    import tree_sitter_typescript

    try:
        text = code.encode()
    except UnicodeEncodeError:
        raise TypeScriptInvalid("the code is not Unicode") from None
    language = tree_sitter.Language(tree_sitter_typescript.language_typescript())
    root = tree_sitter.Parser(language).parse(text).root_node
    if root.has_error:
        raise TypeScriptInvalid(f"a syntax error (line {_line(_first_error(root))})")
    blank = bytearray(text)
    # Each node with its parent, which the parser would search from the root.
    waiting = [(root, "")]
    while waiting:
        node, parent = waiting.pop()
        if not _erased(node, parent, text, blank):
            waiting += [(child, node.type) for child in node.children]
    return blank.decode()


def _first_error(node: "Node") -> "Node":
    while not (node.is_error or node.is_missing):
        within = [child for child in node.children if child.has_error]
        if not within:
            break
        node = within[0]
    return node


def _line(node: "Node") -> int:
    return int(node.start_point[0]) + 1


def _erased(node: "Node", parent: str, text: bytes, blank: bytearray) -> bool:
    """Erase the types of a node. Return True if its children need no visit."""
    kind = node.type
    if kind in _REFUSED and node.is_named:
        message = f"{_REFUSED[kind]} is more than types, and not supported (line {_line(node)})"
        raise TypeScriptInvalid(message)
    if kind in _MODIFIERS and parent in _PARAMETERS:
        message = "a parameter that is a property is not supported"
        raise TypeScriptInvalid(f"{message} (line {_line(node)})")
    declared = kind == "public_field_definition" and any(c.type == "declare" for c in node.children)
    if kind in _STATEMENTS or declared:
        _erase(blank, node.start_byte, node.end_byte, lines=True)
        blank[node.start_byte] = ord(";")
        return True
    if kind in _TYPES or parent in _TOKENS.get(kind, ()):
        _erase(blank, node.start_byte, node.end_byte)
        return True
    if kind in ("as_expression", "satisfies_expression"):
        kept = node.children[0]
        _erase(blank, kept.end_byte, node.end_byte)
        if _CONTINUES.match(text, node.end_byte):
            blank[kept.end_byte] = ord(";")
    elif kind == "formal_parameters":
        named = node.named_children
        if named and named[0].children and named[0].children[0].type == "this":
            end = named[1].start_byte if named[1:] else named[0].end_byte
            _erase(blank, named[0].start_byte, end)
    return False


def _erase(blank: bytearray, start: int, end: int, *, lines: bool = False) -> None:
    """Overwrite with spaces; `lines` keeps line breaks that may end a statement."""
    for index in range(start, end):
        if not lines or blank[index] != ord("\n"):
            blank[index] = ord(" ")
