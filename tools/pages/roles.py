"""Write docs/roles.md from the access rules of the contracts and the permissions of the roles."""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from flowmesh.access import PERMISSIONS, Role, Rule, rule_of_method
from flowmesh.access.roles import GROUP_NAMES, bit
from flowmesh.api.common.v1.access_pb2 import AccessGroup, AccessScope
from tools.pages import markdown
from tools.pages.grpc import FILE_ENUM, Comments, image

GENERATED = Path(__file__).resolve().parents[2] / "gen" / "python"
PREFIX = "ACCESS_GROUP_"
ACCESS_FILE = "flowmesh/api/common/v1/access.proto"
SCOPES = {
    AccessScope.ACCESS_SCOPE_UNSPECIFIED: "namespace",
    AccessScope.ACCESS_SCOPE_TENANT: "tenant",
    AccessScope.ACCESS_SCOPE_CLUSTER: "installation",
}


def page() -> str:
    rules = sorted(_rules(), key=lambda rule: rule.method)
    groups = _groups()
    lines = markdown.title("Roles", source="the `access` options in `protos/`")
    lines += [
        "A user has roles on the installation, on companies, organizations and projects.",
        "A role holds on its level and on every level below; several roles add up.",
        "An API key has one role in one project, and cannot be an owner.",
        "No caller grants a role that is wider than its own.",
        "A role on a project alone raises no [quota](projects.md#quotas) above its ceiling.",
        "[Triggers](triggers.md#rights-of-triggers) run with the present role of the caller that",
        "applied their workflow.",
        "",
        "`flowmesh` checks the caller of every call of a [closed installation](security.md).",
        "A name of another tenant has the same answer as a name of nothing.",
        "A caller that sees the tenant but lacks the role gets `ROLE_REQUIRED`.",
        "",
        "## Matrix",
        "",
    ]
    granted = [number for number in groups if bit(number) in GROUP_NAMES]
    lines += markdown.table(
        ("permission", "allows to", *(role.value for role in Role)),
        ((markdown.code(_name(number)), groups[number], *_marks(number)) for number in granted),
    )
    lines += [
        "Admins and owners may state another `actor` and the `permissions` of a start;",
        "for other callers the actor is the caller, and the permissions are those of its API key.",
        "",
        "## Methods",
        "",
        "The scope is the place where the permission is needed:",
        "the *namespace* of the request, the *tenant* that it names, or the whole *installation*.",
        "Workers may also call the methods marked *and workers*.",
        "Methods marked *audited* are recorded in the audit log.",
        "",
    ]
    for number, text in groups.items():
        lines += [f"### {_name(number)}", "", text, ""]
        lines += markdown.table(
            ("method", "scope", ""),
            (_row(rule) for rule in rules if rule.group == number),
        )
    return markdown.join(lines)


def _rules() -> Iterator[Rule]:
    for file in sorted(GENERATED.glob("flowmesh/api/*/v1/*_service_pb2.py")):
        name = file.relative_to(GENERATED).with_suffix("").as_posix().replace("/", ".")
        for service in importlib.import_module(name).DESCRIPTOR.services_by_name.values():
            yield from map(rule_of_method, service.methods)


def _groups() -> dict[int, str]:
    """Return the comments of the groups, by number."""
    (file,) = (file for file in image().file if file.name == ACCESS_FILE)
    comments = Comments(file)
    names = [enum.name for enum in file.enum_type]
    index = names.index("AccessGroup")
    values = file.enum_type[index].value
    return {
        value.number: comments.line(FILE_ENUM, index, 2, position)
        for position, value in enumerate(values)
        if value.number
    }


def _name(group: int) -> str:
    return AccessGroup.Name(AccessGroup.ValueType(group)).removeprefix(PREFIX).lower()


def _marks(group: int) -> Iterable[str]:
    return ("●" if PERMISSIONS[role] & bit(group) else "" for role in Role)


def _row(rule: Rule) -> tuple[str, str, str]:
    scope = SCOPES[AccessScope.ValueType(rule.scope)] if rule.bits else ""
    remarks = []
    if rule.bits & ~bit(rule.group):
        remarks.append("and workers")
    if rule.audit:
        remarks.append("audited")
    return markdown.code(rule.method), scope, ", ".join(remarks)
