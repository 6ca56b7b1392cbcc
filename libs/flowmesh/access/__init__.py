"""Callers, roles and access rules: who may call which method, in one place for every service."""

from flowmesh.access.principal import LOCAL, Principal, acting_as, current, enter_principal
from flowmesh.access.roles import PERMISSIONS, Role
from flowmesh.access.rules import Rule, RuleMissing, rule_of, rule_of_method

__all__ = [
    "LOCAL",
    "PERMISSIONS",
    "Principal",
    "Role",
    "Rule",
    "RuleMissing",
    "acting_as",
    "current",
    "enter_principal",
    "rule_of",
    "rule_of_method",
]
