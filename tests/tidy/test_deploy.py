"""The container file and the compose file, checked without a container engine."""

import re
from itertools import pairwise
from typing import Any

import promql_parser
import yaml

from flowmesh.orchestrator.model.ids import PARTITION_COUNT
from tests.tidy import sources

SERVICES = ("definition", "orchestrator", "worker", "event", "registry", "gateway")
SERVERS = ("postgres", "nats", "redis")

CONTAINERFILE = sources.text("deploy/Containerfile")
COMPOSE: dict[str, Any] = yaml.safe_load(sources.text("deploy/compose.yaml"))


def _stages() -> dict[str, tuple[str, str]]:
    """Every stage by its name, with what it starts from and its instructions."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", CONTAINERFILE, flags=re.MULTILINE)[1:]
    return {
        name: (base, body)
        for base, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


def _built() -> dict[str, dict[str, Any]]:
    """The containers of the compose file that are built from the container file."""
    return {name: entry for name, entry in COMPOSE["services"].items() if "build" in entry}


def test_every_service_has_a_target() -> None:
    """Each target runs `flowmesh serve` with the service of its name, on the common stage."""
    stages = _stages()
    for service in SERVICES:
        base, body = stages[service]
        assert base == "service"
        assert f'CMD ["flowmesh", "serve", "{service}"]' in body
    assert set(stages) == {*SERVICES, "dependencies", "code", "compiled", "service"}


def test_services_run_without_rights() -> None:
    """Not as root, ready to be checked, told to stop by the signal that drains."""
    _, body = _stages()["service"]
    user = re.search(r"^USER (\d+):(\d+)$", body, re.MULTILINE)
    assert user is not None
    assert int(user.group(1)) > 0
    assert "HEALTHCHECK" in body
    assert "STOPSIGNAL SIGTERM" in body
    assert "EXPOSE 7450 3000" in body


def test_what_is_copied_exists() -> None:
    """Every path that the build copies from the repository is in it."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    missing = [
        path for line in copied for path in line.split() if not (sources.ROOT / path).exists()
    ]
    assert not missing, sources.lines(missing)


def test_images_have_a_version() -> None:
    """No image floats: each names a version that is not `latest`."""
    images = [base for base, _ in _stages().values() if ":" in base or base not in _stages()]
    images += [entry["image"] for entry in COMPOSE["services"].values() if "image" in entry]
    floating = [image for image in images if not re.search(r":(?!latest)[\w.-]*\d", image)]
    assert not floating, sources.lines(floating)


def test_compose_runs_every_service() -> None:
    """Every service is there, two of those that scale, each built from its own target."""
    targets = [entry["build"]["target"] for entry in _built().values()]
    assert sorted(set(targets)) == sorted(SERVICES)
    assert targets.count("orchestrator") == 2
    assert targets.count("worker") == 2
    assert all(server in COMPOSE["services"] for server in SERVERS)


def test_compose_services_find_each_other() -> None:
    """Each says under which name others reach it, and starts once what it needs is healthy."""
    for name, entry in _built().items():
        assert entry["environment"]["FLOWMESH_ADVERTISE"] == f"{name}:7450"
        for needed, how in entry["depends_on"].items():
            assert needed in COMPOSE["services"]
            assert how == {"condition": "service_healthy"}
        assert entry["read_only"] is True
        assert entry["cap_drop"] == ["ALL"]


def test_only_the_gateway_is_reachable() -> None:
    """The servers and the services behind the gateway publish no port."""
    published = {name: e["ports"] for name, e in COMPOSE["services"].items() if "ports" in e}
    assert published == {"gateway": ["3000:3000", "7450:7450"]}
    for server in SERVERS:
        assert "healthcheck" in COMPOSE["services"][server]


def test_compose_sets_known_settings() -> None:
    """Every FLOWMESH_ name of the deployment, and of the pages on it, is read by something."""
    from flowmesh.runtime import Settings
    from flowmesh.runtime.settings import OTHER_VARIABLES

    known = {f"FLOWMESH_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    texts = CONTAINERFILE + sources.text("docs/docker.md") + sources.text("docs/install.md")
    used = set(re.findall(r"\bFLOWMESH_[A-Z_]+", texts))
    used |= {key for entry in _built().values() for key in entry["environment"]}
    assert used <= known


def _entries(name: str) -> set[str]:
    """The packages of a lock file, each with its version and its hashes, without its marker."""
    joined = sources.text(name).replace("\\\n", " ")
    pinned = [line for line in joined.splitlines() if line[:1] not in ("", "#")]
    return {" ".join(re.sub(r" ;.*?(?= --hash)", "", line).split()) for line in pinned}


def test_each_lock_is_part_of_the_next() -> None:
    """What images, users and tests install has the versions and hashes that developers have."""
    locks = ("deploy/requirements", "requirements", "requirements-test", "requirements-dev")
    entries = [_entries(f"{name}.lock") for name in locks]
    for smaller, larger in pairwise(entries):
        assert smaller
        assert smaller < larger


def test_the_demo_and_the_tests_wait_for_no_tool_of_developers() -> None:
    """Linters, type checkers, generators and peers are in the lock of the developers only."""
    names = {entry.partition("==")[0] for entry in _entries("requirements-test.lock")}
    tools = {"ruff", "mypy", "grpcio-tools", "buf-bin", "import-linter", "uv", "temporalio"}
    assert tools <= {entry.partition("==")[0] for entry in _entries("requirements-dev.lock")}
    assert not tools & names
    runtime = {entry.partition("==")[0] for entry in _entries("requirements.lock")}
    assert not {"pytest", "hypothesis", "schemathesis"} & runtime


def test_alerts_can_be_read() -> None:
    """Every rule is an expression of Prometheus and says what is wrong and what to do; the number
    of partitions is the one there are.
    """
    (group,) = yaml.safe_load(sources.text("deploy/alerts.yml"))["groups"]
    for rule in group["rules"]:
        promql_parser.parse(rule["expr"])
        assert {"summary", "description"} == set(rule["annotations"]), rule["alert"]
    assert group["rules"][0]["expr"].endswith(f"< {PARTITION_COUNT}")
