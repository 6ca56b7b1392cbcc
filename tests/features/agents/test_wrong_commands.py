"""`flowmesh agent …` with wrong values: the exit code, and what is wrong in the user's words."""

import shlex

import pytest

from flowmesh.cli import exit_codes
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, Crew
from tests.features.commands import Outcome, command

USAGE, FAILED = exit_codes.USAGE, exit_codes.FAILED
APPLY, POLICY = "spec apply packers --run cat", "policy set p packers workload_based"
BIG = 10**20


async def agent(crew: Crew, words: str) -> Outcome:
    """Return the outcome of `flowmesh agent` with these words, in the namespace of the crew."""
    return await command(crew.suite, "agent", *shlex.split(words), "--namespace", crew.namespace)


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("spec apply packers --run ''", FAILED, "command: is missing"),
        ("spec apply packers --run nosuch", FAILED, "there is no program 'nosuch'"),
        ("spec apply packers --run /etc", FAILED, "there is no program '/etc'"),
        ("spec apply packers --run ../cat", FAILED, "there is no program '../cat'"),
        ('spec apply packers --run "cat \'x"', USAGE, "--run: No closing quotation"),
        ("spec apply Packers_1 --run cat", FAILED, "small letters, digits and hyphens"),
        (f"{APPLY} --file /nowhere/worker.py", USAGE, "cannot read /nowhere/worker.py"),
        (f"{APPLY} -f {__file__} -f {__file__}", USAGE, "two files have the name"),
        (f"{APPLY} --cpu -1", USAGE, "--cpu is 0 or more, not -1"),
        (f"{APPLY} --cpu nan", FAILED, "limits.cpu: nan is not 0.01 to 256"),
        (f"{APPLY} --memory-mib -1", USAGE, "--memory-mib is 0 or more, not -1"),
        (f"{APPLY} --memory-mib 1", FAILED, "is not 16 MiB to 1 PiB"),
        (f"{APPLY} --memory-mib {BIG}", USAGE, "--memory-mib 1e+20 is too large"),
        (f"{APPLY} --pids -1", USAGE, "--pids is 0 or more"),
        (f"{APPLY} --open-files -1", USAGE, "--open-files is 0 or more"),
        (f"{APPLY} --disk-mib -1", USAGE, "--disk-mib is 0 or more"),
        (f"{APPLY} --slots -1", USAGE, "--slots is 0 or more"),
        (f"{APPLY} --replicas -1", USAGE, "--replicas is 0 or more"),
        (f"{APPLY} --replicas 501", FAILED, "replicas: 501 is not 0 to 500"),
        (f"{APPLY} --drain-timeout-s -1", USAGE, "--drain-timeout-s is 0 or more"),
        (f"{APPLY} --isolation jail", USAGE, '"user", "sandbox"'),
        (f"{APPLY} --variable NAME", USAGE, "must be NAME=value"),
        (f"{APPLY} --variable FLOWMESH_X=1", FAILED, "no variable that a spec may set"),
        (f"{APPLY} --queue 'a b'", FAILED, "queues: 'a b' is no name"),
        (f"{POLICY} --least 5 --most 2", USAGE, "--least 5 is above --most 2"),
        (f"{POLICY} --least -1 --most 2", USAGE, "--least is 0 or more, not -1"),
        (f"{POLICY} --most 0", FAILED, "max: is at least 1"),
        (f"{POLICY} --most 501", FAILED, "max: 501 is above 500"),
        (f"{POLICY} --most 3 --window-ms -1", USAGE, "--window-ms is 0 or more, not -1"),
        (f"{POLICY} --most 3 --utilization-percent 101", FAILED, "101 is above 100"),
        (f"{POLICY} --most 3 --gauge lag", FAILED, "gauge: only the strategy AUTO"),
        (f"{POLICY} --most 3 --gauge-target 2", FAILED, "gauge_target: is of no gauge"),
        ("policy set p packers auto --most 3 --gauge lag", FAILED, "gauge_target: 0 is not above"),
        (f"{POLICY} --most 3 --schedule '0 8 * * *;2'", USAGE, "is not CRON;TIME;AGENTS"),
        (f"{POLICY} --most 3 --schedule '0 8 * * *;2h;4'", FAILED, "min 4 is not 1 to max"),
        (f"{POLICY} --most 3 --schedule '0 8 * *;2h;2'", FAILED, "five fields"),
        (f"{POLICY} --most 3 --schedule '0 8 * * *;2h;2;Here'", FAILED, "is not a time zone"),
        (f"{POLICY} --most 3 --schedule '0 8 * * *;1s;2'", FAILED, "not a minute to a week"),
        (f"{POLICY} --most 3", FAILED, "there is no spec 'packers' of agents"),
        ("policy set p packers guess --most 3", USAGE, '"workload_based"'),
        ("policy delete p", FAILED, "there is no policy 'p'"),
        ("scale packers -1", USAGE, "REPLICAS is 0 to 500, not -1"),
        ("scale packers 1", FAILED, "there is no spec 'packers'"),
        ("spawn packers --count 0", USAGE, "--count is 1 to 500, not 0"),
        ("show nosuch", FAILED, "there is no agent 'nosuch'"),
        ("stop 'a b'", FAILED, "agent_id 'a b' is not an id"),
        ("quota set --agents -1", USAGE, "--agents is 0 or more, not -1"),
        ("quota set --cpu nan", FAILED, "cpu: nan is out of range"),
        (f"quota set --memory-mib {BIG}", USAGE, "--memory-mib 1e+20 is too large"),
    ],
    ids=str,
)
async def test_a_wrong_value_is_refused(crew: Crew, words: str, code: int, text: str) -> None:
    """What cannot be sent is wrong usage; the rest is refused by the fleet."""
    found = await agent(crew, words)
    assert (found.code, found.out) == (code, "")
    assert text in found.err
    assert found.err.count("\n") == 1, "one line says what is wrong"


@pytest.mark.long
async def test_what_is_in_use_is_kept(suite: Suite, crew: Crew) -> None:
    """A policy has one spec, a spec one policy; a spec with agents needs a word to be deleted."""
    for name, replicas in (("packers", 1), ("others", 0)):
        applied = f"spec apply {name} --run 'sleep 1000' --health process --replicas {replicas}"
        assert not (await agent(crew, applied)).code
    await crew.ready(1)
    found = await agent(crew, "spec delete packers")
    assert found.code == FAILED
    assert "packers has 1 agent; scale it to 0, or stop them with it: --stop-agents" in found.err
    assert not (await agent(crew, f"{POLICY} --least 1 --most 2")).code
    for words, text in (
        ("policy set p others fixed --most 2", "the policy p is of packers; a policy has one"),
        ("policy set q packers fixed --most 2", "packers has the policy p already"),
        ("scale packers 2", "a policy decides the count of packers"),
        ("spawn packers", "a policy decides the count of packers"),
    ):
        found = await agent(crew, words)
        assert (found.code, text in found.err) == (FAILED, True), found.err
    assert not (await agent(crew, "spec delete packers --stop-agents")).code
    found = await agent(crew, f"{POLICY} --most 2")
    assert (found.code, "there is no spec 'packers'" in found.err) == (FAILED, True), found.err

    async def gone() -> bool:
        return (await agent(crew, "spec show packers")).code == FAILED

    await until("the spec is gone", gone, within_s=PATIENCE_S)
    assert not (await agent(crew, f"{APPLY} --replicas 0")).code, "the name is free again"
