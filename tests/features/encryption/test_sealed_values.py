"""Values that a client seals and a worker opens, both of the SDK: no process of the suite can."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sdk import (
    Client,
    DurableContext,
    ExecutionFailed,
    SealingKeys,
    TaskContext,
    Worker,
    step_key,
)
from flowmesh.sdk.values.payloads import encode
from flowmesh.testing.polling import until
from tests.features.encryption.disk import WITHIN_S, Disk, encrypted_disk
from tests.features.natives import resource, text, workflow

KEYS = SealingKeys({"k1": bytes(range(32))})
INPUT, OUTPUT, SIGNAL = "canary-in-1b7e90", "canary-out-8d2c41", "canary-signal-6630fa"
DURABLE, LARGE = "canary-step-c5d219", "canary-large-44ab07"
CANARIES = (INPUT, OUTPUT, SIGNAL, DURABLE, LARGE)
# Above the bound of inline values.
LARGE_BYTES = 300 << 10
ENCRYPTED: Json = {"x-encrypted": True}


@pytest.fixture(scope="module")
async def disk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Disk]:
    async with encrypted_disk(tmp_path_factory.mktemp("sealed")) as made:
        yield made


async def pay(value: Json, context: TaskContext) -> Json:
    """Return a new secret beside the one that it was given."""
    assert isinstance(value, dict), value
    return {"token": OUTPUT, "given": value}


async def enroll(context: DurableContext, value: Json) -> Json:
    """Journal a secret, and return all."""
    step = await context.step("made", lambda: {"step": DURABLE, "key": step_key()})
    return {"step": step["step"], "given": value}


@dataclass(frozen=True)
class Parties:
    """A client and a worker with the key, and a client without it."""

    keyed: Client
    keyless: Client
    disk: Disk


@pytest.fixture
async def parties(disk: Disk) -> AsyncIterator[Parties]:
    project = disk.plain
    key, address = project.admin.credential, disk.closed.suite.grpc_address
    async with (
        Client(address, project.namespace, api_key=key, tls=False, codec=KEYS) as keyed,
        Client(address, project.namespace, api_key=key, tls=False) as keyless,
    ):
        flow = workflow(
            "sealed",
            {"id": "pay", "taskRef": "seal-pay", "input": "{{input}}"},
            {"id": "go", "wait": {"event": "go"}, "dependsOn": ["pay"]},
            inputSchema=ENCRYPTED,
            output={"paid": "{{tasks.pay.output}}", "signal": "{{tasks.go.output}}"},
        )
        declared = resource(
            "WorkflowTask",
            "seal-pay",
            type="seal-pay",
            inputSchema=ENCRYPTED,
            outputSchema=ENCRYPTED,
        )
        await keyed.apply(text(declared, flow))
        worker = Worker(keyed, {"seal-pay": pay})
        worker.durable("seal-enroll")(enroll)
        async with worker:
            yield Parties(keyed, keyless, disk)


@pytest.mark.long
@pytest.mark.feature("S5-05")
async def test_values_are_readable_where_the_key_is_and_nowhere_else(parties: Parties) -> None:
    """In the result, the state, the events and the history of a client; in no sink of the suite."""
    disk = parties.disk
    large = {"card": INPUT, "large": LARGE * (LARGE_BYTES // len(LARGE))}
    for given in ({"card": INPUT}, large):
        handle = await parties.keyed.start("sealed", given)
        await handle.signal("go", {"code": SIGNAL})
        output = await handle.result(30)
        assert output["paid"] == {"token": OUTPUT, "given": given}
        assert output["signal"] == {"code": SIGNAL}, output
    small = await parties.keyed.start("sealed", {"card": INPUT}, wait=5)
    await small.signal("go", {"code": SIGNAL})
    await small.result(30)
    seen = await small.describe()
    assert seen.input == {"card": INPUT}
    assert seen.node("pay").output == {"token": OUTPUT, "given": {"card": INPUT}}
    events = [event.as_json() async for event in small.events()]
    assert OUTPUT in json.dumps(events)
    assert DURABLE in json.dumps(await parties.keyed.run("seal-enroll", {"card": INPUT}))
    shown = await disk.plain.execution(small.id)
    without = await parties.keyless.handle(small.id).result(30)
    for text_ in (json.dumps(shown), json.dumps(without)):
        assert "$sealed" in text_
        assert not [each for each in CANARIES if each in text_]

    form = json.loads(KEYS.encode(encode({"card": INPUT})))["$sealed"]["data"]

    async def written() -> bool:
        await disk.sql("checkpoint")
        return disk.found(form) != {}

    await until("sealed values are on the disk", written, within_s=WITHIN_S)
    assert disk.found(*CANARIES) == {}
    sinks = [str(span) for span in disk.traces.spans]
    sinks.append(await disk.closed.owner.text("/metrics"))
    assert not [each for each in CANARIES for sink in sinks if each in sink]


async def test_a_plain_value_in_place_of_a_sealed_one_is_refused(parties: Parties) -> None:
    """A client that has no key cannot send one by mistake."""
    with pytest.raises(Invalid) as refused:
        await parties.keyless.start("sealed", {"card": INPUT})
    assert refused.value.reason == "INPUT_INVALID"


@pytest.mark.feature("S5-05")
async def test_a_worker_without_the_key_fails_the_task(parties: Parties) -> None:
    """Its handler does not run with a value that it cannot read; a request id counts once."""
    other = SealingKeys({"k2": bytes(32)})
    name, key = parties.keyed.namespace, parties.disk.plain.admin.credential
    flow = workflow("unread", {"id": "a", "taskRef": "seal-pay"}, output="{{tasks.a.output}}")
    flow["spec"]["tasks"][0]["input"] = "{{input}}"
    async with Client(
        parties.keyed.address,
        name,
        api_key=key,
        tls=False,
        codec=other,
    ) as stranger:
        await parties.keyed.apply(text(flow))
        first = await stranger.start("unread", {"n": 1}, request_id="unread-1")
        again = await stranger.start("unread", {"n": 1}, request_id="unread-1")
        assert first.id == again.id
        with pytest.raises(ExecutionFailed) as failed:
            await first.result(30)
    assert failed.value.failure is not None
    assert "sealed by the key 'k2', which is not among" in failed.value.failure.message


@pytest.mark.feature("S5-05")
@pytest.mark.parametrize("read", ["{{input.card.number}}", "card {{input.card}}"])
async def test_a_definition_that_looks_into_a_sealed_member_is_refused(
    parties: Parties, read: str
) -> None:
    """At the door, with the place and the reason."""
    schema: Json = {"type": "object", "properties": {"card": {"x-encrypted": True}}}
    flow = workflow(
        "looks", {"id": "a", "taskRef": "noop", "input": {"n": read}}, inputSchema=schema
    )
    with pytest.raises(Invalid) as refused:
        await parties.keyed.apply(text(flow))
    (violation,) = refused.value.violations
    assert (violation.code, violation.field) == ("SEALED_VALUE_READ", "tasks[0].input.n")
