"""The table of all module types, and of known types of others."""

import difflib
import re
from collections.abc import Iterable
from typing import Final

from flowmesh.apps.catalog.access import API, AUTH, MIDDLEWARE
from flowmesh.apps.catalog.data import DATABASE, OTHER_DATA, SECRETS, STORAGE
from flowmesh.apps.catalog.descriptor import Descriptor
from flowmesh.apps.catalog.http import HTTP
from flowmesh.apps.catalog.messaging import (
    INTEGRATION,
    MACHINES,
    MESSAGING,
    OBSERVABILITY,
    SCHEDULING,
)
from flowmesh.apps.catalog.steps import ADDED_STEPS, MODULE_STEPS
from flowmesh.contract.plugin_functions import PATTERN

_GROUPS = (
    *(HTTP, MIDDLEWARE, AUTH, API, MACHINES, MESSAGING, DATABASE, MODULE_STEPS, OBSERVABILITY),
    *(STORAGE, SCHEDULING, INTEGRATION, SECRETS, OTHER_DATA),
)
DESCRIPTORS: dict[str, Descriptor] = {each.type: each for group in _GROUPS for each in group}
"""The module types, in the order of the docs."""

STEPS: dict[str, Descriptor] = {each.type: each for each in (*MODULE_STEPS, *ADDED_STEPS)}
"""The step types of pipelines."""

_PLUGIN: Final = Descriptor(
    type="plugin:NAME",
    build="modules.outbound.plugins:plugin",
    label="Plugin",
    text="A module type of an installed plugin.",
    category="integration",
    offers=("Component",),
    open=True,
)

# Types of other programs that configurations in use name, by their beginning.
_FOREIGN = {
    "platform.": "provisions infrastructure",
    "featureflag.": "serves feature flags",
    "license.": "checks licenses",
    "step.docker_": "runs containers",
    "step.build_": "builds web pages",
    "step.feature_flag": "reads feature flags",
    "step.gate": "waits for approvals",
    "step.deploy": "deploys programs",
    "environment.": "manages environments",
}


def descriptor_of(kind: str) -> Descriptor | None:
    """Return the descriptor of a module type; None for an unknown one.

    All types of plugins have the same one: the schemas of their configurations are those of the
    plugins that are installed where an application runs.
    """
    return DESCRIPTORS.get(kind) or (_PLUGIN if re.fullmatch(PATTERN, kind) else None)


def foreign_hint(kind: str) -> str:
    """Return a remark on a type that other programs know; "" if there is none."""
    for beginning, does in _FOREIGN.items():
        if kind.startswith(beginning):
            return f"{beginning.rstrip('._')} {does}; it is not one of the {len(DESCRIPTORS)} types"
    return ""


def nearest_names(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def key_form(key: str) -> str:
    """Return the form in which spellings of a key agree: `token_expiry`, `tokenExpiry`."""
    return key.replace("_", "").replace("-", "").lower()
