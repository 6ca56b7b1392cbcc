"""The checks that enumerate find a hole that is planted.

Those of evaluations are planted in `tests/tidy/code/test_evaluations.py`, imports in
`tests/tidy/code/test_imports.py`.
"""

import re
from collections.abc import Iterable, Mapping

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from flowmesh.access import RuleMissing, rule_of_method
from flowmesh.apps.catalog import DESCRIPTORS, STEPS, Descriptor, Field
from flowmesh.apps.catalog.descriptor import string
from tests.access.answers import Answer
from tests.access.contracts import BY_NAME
from tests.features.closed import Closed
from tests.hostile.accounts import test_service_identity as identity
from tests.hostile.calls.test_document_values import without_rule
from tests.tidy import sources
from tests.unit.apps.test_allow_private import ACCEPTING

# Headers by which a peer says whom it forwards, and what makes a server believe them.
FORWARDING = re.compile(
    r"""["'](x-forwarded\b|forwarded["']|x-real-ip)|proxy_headers=(?!False)|forwarded_allow_ips""",
    re.IGNORECASE,
)
# Modules that name them, and why none believes a stranger.
NAMING: Mapping[str, str] = {
    "libs/flowmesh/apps/durable/messages.py": "leaves them out of what is kept",
    "libs/flowmesh/apps/modules/operators.py": "refuses a request that has one",
    "libs/flowmesh/apps/modules/proxies.py": "writes them for its backend",
    "libs/flowmesh/runtime/http/server.py": "of configured proxies only",
    "services/flowmesh/gateway/cells/http_front.py": "writes them for the cell that it calls",
}
LOOSENING = re.compile(
    r"private|insecure|egress|skip.?verify|(internal|loopback) address", re.IGNORECASE
)


def planted(field: Field) -> Descriptor:
    """Return a module type with one key."""
    return Descriptor(type="x.hole", build="", category="data", label="", text="", fields=(field,))


def believing(modules: Mapping[str, str]) -> set[str]:
    """Return the modules that name a forwarding header and are not listed."""
    return {path for path, text in modules.items() if FORWARDING.search(text)} - set(NAMING)


def loosening(descriptors: Iterable[Descriptor]) -> set[str]:
    """Return the keys that seem to widen the policy, and are not held to that of the host."""
    return {
        f"{each.type}.{field.key}"
        for each in descriptors
        for field in each.fields
        if field.kind == "boolean" and LOOSENING.search(f"{field.key} {field.text}")
        if (each.type, field.key) not in ACCEPTING
    }


@pytest.mark.parametrize(
    "field",
    [
        string("bundle", "File of authorities."),
        string("spool", "Folder of messages."),
        string("endpoint", "Where metrics go."),
        string("upstream", "URL of the next one."),
        Field(key="more", kind="map", text="Connections by name, with their DSN."),
        Field(key="extra", kind="array", text="Texts, each a source of code."),
    ],
    ids=lambda field: field.key,
)
def test_a_key_without_a_rule_is_found(field: Field) -> None:
    """A path, an address, or texts inside a value."""
    every = {**DESCRIPTORS, **STEPS}.values()
    assert without_rule([*every, planted(field)]) == [f"x.hole.{field.key}"]


def test_a_method_without_a_right_is_found() -> None:
    """A route reaches a service by such methods alone."""
    file = descriptor_pb2.FileDescriptorProto(
        name="planted.proto", package="planted", syntax="proto3"
    )
    file.message_type.add(name="Empty")
    service = file.service.add(name="Hole")
    service.method.add(name="Read", input_type=".planted.Empty", output_type=".planted.Empty")
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    with pytest.raises(RuleMissing, match="no `access` option"):
        rule_of_method(pool.FindMethodByName("planted.Hole.Read"))


def test_a_module_that_names_a_forwarding_header_is_found() -> None:
    """The real ones are listed with their reason, and each of these names one."""
    folders = ("libs/flowmesh/", "services/flowmesh/")
    product = {name: sources.text(name) for name in sources.python() if name.startswith(folders)}
    assert believing(product) == set()
    assert all(FORWARDING.search(product[name]) for name in NAMING)
    for text in ('b"x-forwarded-for"', "'Forwarded'", '"X-Real-IP"', "proxy_headers=True"):
        hole = {"services/flowmesh/gateway/x.py": f"client = request.headers[{text}]"}
        assert believing({**product, **hole}) == set(hole)


def test_a_key_that_loosens_the_policy_is_found() -> None:
    """Under whatever name, when it is not held to the policy of the host."""
    every = {**DESCRIPTORS, **STEPS}.values()
    assert loosening(every) == set()
    for key in ("allow_private", "reachInternal", "insecure"):
        field = Field(key=key, kind="boolean", text="Also internal addresses.")
        assert loosening([*every, planted(field)]) == {f"x.hole.{key}"}


async def test_a_method_that_takes_a_service_is_found(
    installation: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it answers, or refuses for another reason than the token."""
    method = BY_NAME["AccessService.GetPrincipal"]
    caller = installation.caller("")
    for answer in (Answer("OK", ""), Answer("PERMISSION_DENIED", "OTHER")):

        async def taken(*_: object, answer: Answer = answer) -> Answer:
            return answer

        monkeypatch.setattr(identity, "call", taken)
        assert await identity.refused(caller, method) == answer
