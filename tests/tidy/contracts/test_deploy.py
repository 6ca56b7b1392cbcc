"""The container file and the compose file, checked without a container engine."""

import ipaddress
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from flowmesh.egress.policy import Policy
from flowmesh.orchestrator.model.ids import PARTITION_COUNT
from flowmesh.runtime import Settings
from flowmesh.storage.service_roles import SETTING
from flowmesh.suite.accounts import CONTAINER_SEED, Accounts
from flowmesh.suite.services import CORE, OPTIONAL
from tests.tidy import sources

SERVICES = CORE
SERVERS = ("postgres", "nats", "redis")

CONTAINERFILE = sources.text("deploy/Containerfile")
COMPOSE: dict[str, Any] = yaml.safe_load(sources.text("deploy/compose.yaml"))
POLICIES: dict[str, dict[str, Any]] = {
    policy["metadata"]["name"]: policy
    for policy in yaml.safe_load_all(sources.text("deploy/chart/flowmesh/network-policy.yaml"))
}
PORTS = {"postgresql": 5432, "nats": 4222, "redis": 6379}
PRIVATE = (
    "127.0.0.1", "10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255",
    "::1", "fd00::1", "fe80::1", "64:ff9b::1", "2002::1", "2001::1", "ff02::1",
)  # fmt: skip
PART_OF = {"app.kubernetes.io/part-of": "flowmesh"}


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
    for service in (*SERVICES, *OPTIONAL):
        base, body = stages[service]
        assert base == "service"
        assert f'CMD ["flowmesh", "serve", "{service}"]' in body
    assert set(stages) == {*SERVICES, *OPTIONAL, "dependencies", "code", "compiled", "service"}


def test_each_service_gets_a_role_of_its_own() -> None:
    """The servers of the compose file and of the chart ask the services for it, by a setting."""
    setting = f"{SETTING}=on"
    assert COMPOSE["services"]["postgres"]["command"][-2:] == ["-c", setting]
    assert f'"-c" "{setting}"' in sources.text("deploy/chart/flowmesh/templates/stores.yaml")


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
    """The servers and the services behind the gateway publish no port, but applications do."""
    published = {name: e["ports"] for name, e in COMPOSE["services"].items() if "ports" in e}
    assert published == {
        "gateway": ["3000:3000", "7450:7450"],
        "apphost": ["8080-8089:8080-8089"],
    }
    for server in SERVERS:
        assert "healthcheck" in COMPOSE["services"][server]


def test_compose_sets_known_settings() -> None:
    """Every FLOWMESH_ name of the deployment, and of the pages on it, is read by something."""
    from flowmesh.runtime.settings import OTHER_VARIABLES

    known = {f"FLOWMESH_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    texts = CONTAINERFILE + sources.text("docs/docker.md") + sources.text("docs/install.md")
    used = set(re.findall(r"\bFLOWMESH_[A-Z_]+", texts))
    used |= {key for entry in _built().values() for key in entry["environment"]}
    assert used <= known


def test_compose_is_closed() -> None:
    """Each service has the key of the installation, and each server wants a password."""
    for entry in _built().values():
        settings = entry["environment"]
        assert settings["FLOWMESH_AUTH"] == "closed"
        assert settings["FLOWMESH_KEY_FILE"] == "/run/secrets/installation-key"
        assert entry["secrets"] == ["installation-key", "metrics-key"]
        address = settings["FLOWMESH_POSTGRES"]
        assert re.search(r"://[^@/]*\$\{\w+:\?[^}]*\}@", address), address
    assert "FLOWMESH_AUTH=closed" in _stages()["service"][1]


def test_each_container_has_its_own_certificate() -> None:
    """It mounts a folder of its name, not that of the authority with its key."""
    for name, entry in _built().items():
        assert entry["environment"]["FLOWMESH_CERTS"] == "/certs"
        assert entry["volumes"][-2].endswith(f"}}/{name}:/certs:ro")


def test_each_container_has_the_account_of_its_service(tmp_path: Path) -> None:
    """Its files are those that `flowmesh accounts` writes, and none is of another service."""
    Accounts.of(Settings(), tmp_path).write("nats://nats:4222", "redis://redis:6379")
    written = {path.name for path in tmp_path.iterdir()}
    folder = "${ACCOUNTS_DIR:?the folder of the accounts}"
    mounted = set()
    for entry in _built().values():
        service = entry["build"]["target"]
        assert entry["env_file"] == [f"{folder}/{service}.env"]
        assert [each for each in entry["volumes"] if folder in each] == [
            f"{folder}/{service}.nk:{CONTAINER_SEED}:ro"
        ]
        assert not {"FLOWMESH_NATS", "FLOWMESH_REDIS"} & entry["environment"].keys()
        mounted |= {f"{service}.env", f"{service}.nk"}
    for server in ("nats", "redis"):
        entry = COMPOSE["services"][server]
        assert f"{folder}/{server}.conf:/account/{server}.conf:ro" in entry["volumes"]
        assert f"/account/{server}.conf" in entry["command"]
        mounted.add(f"{server}.conf")
    others = {f"{service}.{kind}" for service in OPTIONAL for kind in ("env", "nk")}
    assert mounted | others == {name for name in written if not name.endswith(".password")}


def _ports(rules: list[dict[str, Any]]) -> set[tuple[str, int]]:
    return {(port["protocol"], port["port"]) for rule in rules for port in rule.get("ports", ())}


def test_network_policies_admit_the_ports_of_the_suite_only() -> None:
    """Services: both ports and the servers; what no rule lists is dropped in both directions."""
    fields = Settings.model_fields
    grpc, http = (("TCP", fields[f"{kind}_port"].default) for kind in ("grpc", "http"))
    for policy in POLICIES.values():
        assert policy["apiVersion"] == "networking.k8s.io/v1"
        assert policy["kind"] == "NetworkPolicy"
    every = POLICIES["flowmesh-services"]["spec"]
    assert every["podSelector"] == {"matchLabels": PART_OF}
    assert every["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["from"] for rule in every["ingress"])
    assert all(rule["to"] for rule in every["egress"])
    assert _ports(every["ingress"]) == {grpc, http}
    servers = {("TCP", port) for port in PORTS.values()}
    assert _ports(every["egress"]) == {grpc, *servers, ("UDP", 53), ("TCP", 53)}
    gateway = POLICIES["flowmesh-gateway"]["spec"]
    assert gateway["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    assert _ports(gateway["ingress"]) == {grpc, http}
    for server, port in PORTS.items():
        spec = POLICIES[f"flowmesh-{server}"]["spec"]
        assert spec["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": server}
        (rule,) = spec["ingress"]
        assert rule["from"] == [{"podSelector": {"matchLabels": PART_OF}}]
        assert _ports([rule]) == {("TCP", port)}


def test_network_policies_keep_tasks_from_private_addresses() -> None:
    """The network admits no address that the egress policy of the suite refuses."""
    spec = POLICIES["flowmesh-egress"]["spec"]
    (expression,) = spec["podSelector"]["matchExpressions"]
    assert expression["values"] == ["worker", "event"]
    blocks = [each["ipBlock"] for each in spec["egress"][0]["to"]]
    policy = Policy.named("public")
    for private in PRIVATE:
        assert not policy.admits(private), private
        assert not any(_admits(block, private) for block in blocks), private
    for public in ("1.1.1.1", "203.0.114.1", "2606:4700::1111"):
        assert policy.admits(public)
        assert any(_admits(block, public) for block in blocks), public


def _admits(block: dict[str, Any], address: str) -> bool:
    found = ipaddress.ip_address(address)
    excepted = any(found in ipaddress.ip_network(each) for each in block.get("except", ()))
    return found in ipaddress.ip_network(block["cidr"]) and not excepted


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
