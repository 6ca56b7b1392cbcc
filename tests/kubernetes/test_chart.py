"""The chart: what it renders is valid, restricted, and refuses what it does not honour."""

import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from flowmesh.suite.accounts import CONTAINER_SEED
from flowmesh.suite.services import SERVICES
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import CHART, REPOSITORY, SYSTEM, rendered
from tools import kubernetes, resources

pytestmark = pytest.mark.kubernetes
VERSION = "1.37"
FOREIGN = ("monitoring.coreos.com/v1", "keda.sh/v1alpha1")
PROFILES = {
    "default": [],
    "trial": ["-f", str(CHART / "values-trial.yaml")],
    "production": ["-f", str(CHART / "values-production.yaml")],
    "ingress": ["--set", "ingress.enabled=true,ingress.host=flowmesh.example"],
    "keda": [
        "--set",
        "keda.enabled=true,keda.pools[0].name=video,keda.pools[0].deployment=video,"
        "keda.pools[0].queue=video,operator.apps.namespaces[0]=shop",
    ],
}


def objects(profile: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(rendered(*PROFILES[profile])) if each]


def pods(profile: str) -> dict[str, dict[str, Any]]:
    """Return the pod templates by the names of their owners."""
    return _pods_of(objects(profile))


def _pods_of(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        each["metadata"]["name"]: each["spec"]["template"]
        for each in found
        if each["kind"] in ("Deployment", "StatefulSet")
    }


@pytest.mark.feature("S3-128")
@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_rendered_is_valid(profile: str) -> None:
    """Against the schemas of Kubernetes, in which an unknown field is an error."""
    for each in objects(profile):
        if each["apiVersion"] not in FOREIGN:
            kubernetes_validate.validate(each, VERSION, strict=True)


@pytest.mark.parametrize("profile", PROFILES)
def test_helm_finds_no_fault_in_a_profile(profile: str) -> None:
    """Warnings are faults here."""
    command = [str(kubernetes.folder() / "helm"), "lint", "--strict", str(CHART)]
    run = subprocess.run(
        (*command, *PROFILES[profile]), capture_output=True, text=True, check=False
    )
    assert not run.returncode, run.stdout


def test_each_service_uses_its_own_account() -> None:
    """Of NATS and Redis; without the setting all of them use the addresses of one Secret."""
    found = _pods_of(
        [each for each in yaml.safe_load_all(rendered("--set", "secrets.accounts=account")) if each]
    )
    used = set()
    for template in found.values():
        (container,) = template["spec"]["containers"]
        service = container["name"]
        named = {each["name"]: each.get("valueFrom", {}) for each in container["env"]}
        for server in ("nats", "redis"):
            wanted = {"secretKeyRef": {"name": f"account-{service}", "key": server}}
            assert named[f"FLOWMESH_{server.upper()}"] == wanted
        assert named["FLOWMESH_POSTGRES"]["secretKeyRef"]["name"] == "flowmesh-servers"
        (place,) = (
            each["mountPath"] for each in container["volumeMounts"] if each["name"] == "account"
        )
        assert f"{place}/nats.nk" == CONTAINER_SEED
        (volume,) = (each for each in template["spec"]["volumes"] if each["name"] == "account")
        assert volume["secret"]["secretName"] == f"account-{service}"
        used.add(service)
    assert used == set(SERVICES)
    assert "name: account" not in rendered()


@pytest.mark.parametrize("profile", PROFILES)
async def test_pods_have_the_restricted_profile(bare: Cluster, profile: str) -> None:
    """The API server itself judges each pod."""
    name = f"restricted-{profile}"
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": enforced},
    }
    await bare.kubectl("apply", "-f", "-", source=yaml.safe_dump(space))
    found = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": owner, "labels": template["metadata"]["labels"]},
            "spec": template["spec"],
        }
        for owner, template in pods(profile).items()
    ]
    assert found
    for pod in found:
        # Volumes of a StatefulSet are not part of its template.
        known = {each["name"] for each in pod["spec"].get("volumes", [])}
        for container in pod["spec"]["containers"]:
            mounts = container.get("volumeMounts", [])
            container["volumeMounts"] = [each for each in mounts if each["name"] in known]
    text = yaml.safe_dump_all(found)
    output = await bare.kubectl("create", "-n", name, "--dry-run=server", "-f", "-", source=text)
    assert output.count("created (server dry run)") == len(found), output


@pytest.mark.parametrize(
    "value",
    ["services.gateway.replica=2", "operator.port=1", "auth=maybe", "services.worker.replicas=0"],
)
def test_an_unknown_value_is_refused(value: str) -> None:
    """By its path, before anything is installed."""
    command = [str(kubernetes.folder() / "helm"), "lint", str(CHART), "--set", value]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode
    assert value.split("=")[0].replace(".", "/").rpartition("/")[0] in run.stdout


@pytest.mark.feature("S4-96")
def test_the_engine_has_the_deployment_of_the_sample() -> None:
    """Its name, replicas, image and resources."""
    found = [each for each in objects("default") if each["kind"] == "Deployment"]
    (engine,) = (each for each in found if each["metadata"]["name"] == "workflow-engine")
    assert engine["spec"]["replicas"] == 3
    (container,) = engine["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "workflow-engine:latest"
    assert container["resources"] == {
        "requests": {"memory": "256Mi", "cpu": "250m"},
        "limits": {"memory": "512Mi", "cpu": "500m"},
    }


@pytest.mark.parametrize(
    ("profile", "file"),
    [
        ("trial", "values-trial.yaml"),
        ("default", "values.yaml"),
        ("production", "values-production.yaml"),
    ],
)
def test_the_page_has_the_requests_of_a_profile(profile: str, file: str) -> None:
    """Pods, CPU and memory of all Deployments; scaled ones have their least."""
    found = objects(profile)
    least = {
        each["metadata"]["name"]: each["spec"]["minReplicas"]
        for each in found
        if each["kind"] == "HorizontalPodAutoscaler"
    }
    counts, cpu = 0, 0
    for each in found:
        if each["kind"] != "Deployment":
            continue
        replicas = least.get(each["metadata"]["name"]) or each["spec"]["replicas"]
        (container,) = each["spec"]["template"]["spec"]["containers"]
        asked = container["resources"]["requests"]
        assert asked["memory"] == "256Mi", each["metadata"]["name"]
        counts += replicas
        cpu += replicas * int(asked["cpu"].removesuffix("m"))
    page = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    sizes = page.partition("## Sizes")[2]
    row = next(line for line in sizes.splitlines() if line.startswith(f"| `{file}`"))
    _, _, pods_of, cpu_of, memory, _ = (cell.strip() for cell in row.split("|"))
    assert pods_of.split(",")[0] == str(counts)
    assert (cpu_of, memory) == (f"{cpu / 1000:g}", f"{counts / 4:g} GiB")


@pytest.mark.feature("S3-127")
def test_every_component_is_probed_and_none_restarts_for_a_server() -> None:
    """Ready means that the servers answer; alive means the process alone."""
    for owner, template in pods("production").items():
        (container,) = template["spec"]["containers"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/ready", owner
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez", owner


@pytest.mark.parametrize("service", ["definition", "apphost", "fleet", "orchestrator"])
def test_the_policies_let_the_operator_ask_a_service(service: str) -> None:
    """Out of its pod, and into those of the service, at the port of gRPC."""
    found = [each["spec"] for each in objects("default") if each["kind"] == "NetworkPolicy"]
    labels = {
        name: pods("default")[f"flowmesh-{name}" if name != "orchestrator" else "workflow-engine"]
        for name in ("operator", service)
    }

    def chosen(selector: dict[str, Any], name: str) -> bool:
        own = labels[name]["metadata"]["labels"]
        return not selector.get("matchExpressions") and (
            selector["matchLabels"].items() <= own.items()
        )

    def admits(way: str, peers: str, pod: str, other: str) -> bool:
        return any(
            port["port"] == 7450
            and any(chosen(peer.get("podSelector", {}), other) for peer in rule.get(peers, []))
            for spec in found
            if chosen(spec["podSelector"], pod)
            for rule in spec.get(way, [])
            for port in rule["ports"]
        )

    assert admits("egress", "to", "operator", service)
    assert admits("ingress", "from", service, "operator")


async def test_the_api_server_accepts_the_whole_chart(bare: Cluster, tmp_path: Path) -> None:
    """A dry run of the installation on the server."""
    command = [str(kubernetes.folder() / "helm"), "install", "trial", str(CHART)]
    command += ["-f", str(CHART / "values-trial.yaml"), "--dry-run=server", "-n", SYSTEM]
    command += ["--set", "resources.install=false,operator.enabled=false,agents.driver=process"]
    command += [f"--kubeconfig={bare.kubeconfig}"]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(  # noqa: ASYNC221 nothing else runs here
        command, capture_output=True, text=True, env=environment, check=False
    )
    assert not run.returncode, run.stderr


def test_derived_files_are_fresh() -> None:
    """`make gen` writes them."""
    assert not resources.main("--check")


def test_the_smoke_test_names_what_the_chart_installs() -> None:
    """`make cluster-smoke`, which needs a cluster with nodes and is not run here."""
    script = REPOSITORY / "tools" / "cluster_smoke.sh"
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    release = text.partition("helm install ")[2].partition("\nkubectl")[0].replace("\\\n", "")
    words = release.replace('"', "").split()
    assert (REPOSITORY / words[1]).samefile(CHART)
    assert (REPOSITORY / words[words.index("-f") + 1]).is_file()
    values = words[words.index("--set") + 1].replace("$image", "mine:1")
    found = list(filter(None, yaml.safe_load_all(rendered(*PROFILES["trial"], "--set", values))))
    images = {pod["spec"]["containers"][0]["image"] for pod in _pods_of(found).values()}
    assert "mine:1" in images
    assert not {each for each in images if each.startswith(("flowmesh", "workflow-engine"))}
    name, port = text.partition("/services/")[2].partition("/proxy")[0].split(":")
    (service,) = (
        each for each in found if each["kind"] == "Service" and each["metadata"]["name"] == name
    )
    assert int(port) in {each["port"] for each in service["spec"]["ports"]}
