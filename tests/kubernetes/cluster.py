"""A real Kubernetes API server with etcd and controllers, as processes of this machine.

There is no kubelet: `podrunner` runs pods as local processes. A Service has an address that is its
own on this machine, on which `serve` listens.
"""

import asyncio
import json
import ssl
import subprocess
import tempfile
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flowmesh.embedded.ports import free_ports
from flowmesh.testing.polling import until
from tools import kubernetes

CONTROLLERS = (
    "deployment-controller,replicaset-controller,statefulset-controller,job-controller,"
    "horizontal-pod-autoscaler-controller,garbage-collector-controller,namespace-controller,"
    "disruption-controller,serviceaccount-controller,clusterrole-aggregation-controller"
)
STARTS_S = 60.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster."""

    folder: Path
    address: str
    kubeconfig: Path
    api_server: Sequence[str]
    # By their programs.
    processes: dict[str, subprocess.Popen[bytes]]
    port: int

    async def kubectl(self, *arguments: str, source: str = "", check: bool = True) -> str:
        """Return what kubectl prints on both outputs; `source` is its standard input."""
        return await kubectl(self.kubeconfig, *arguments, source=source, check=check)

    async def restart_api_server(self) -> None:
        """Kill the API server and start another one on the same port."""
        program = self.api_server[0]
        self.processes[program].kill()
        self.processes[program].wait()
        self.processes[program] = _start(self.folder, *self.api_server)
        await _until_ready(self.folder, self.port)

    async def get(self, *arguments: str) -> dict[str, Any]:
        """Return an object as JSON."""
        found: dict[str, Any] = json.loads(await self.kubectl("get", *arguments, "-o", "json"))
        return found


async def kubectl(kubeconfig: Path, *arguments: str, source: str = "", check: bool = True) -> str:
    process = await asyncio.create_subprocess_exec(
        kubernetes.folder() / "kubectl",
        f"--kubeconfig={kubeconfig}",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate(source.encode())
    if check and process.returncode:
        raise AssertionError(output.decode())
    return output.decode()


async def account(kubeconfig: Path, folder: Path, name: str, namespace: str) -> Path:
    """Return the kubeconfig of a service account, with a token as pods have it."""
    token = (await kubectl(kubeconfig, "create", "token", name, "-n", namespace)).strip()
    own = folder / f"kubeconfig-{uuid.uuid4().hex[:8]}"
    _write_account(kubeconfig, own, token, namespace)
    return own


def _write_account(kubeconfig: Path, own: Path, token: str, namespace: str) -> None:
    admin = yaml.safe_load(kubeconfig.read_text())
    admin["users"] = [{"name": "admin", "user": {"token": token}}]
    admin["contexts"][0]["context"]["namespace"] = namespace
    own.touch(0o600)
    own.write_text(yaml.safe_dump(admin))


@asynccontextmanager
async def cluster(number: int = 0) -> AsyncIterator[Cluster]:
    """Run a cluster; `number` tells clusters of one machine apart."""
    if left := kubernetes.missing():
        raise AssertionError(f"run `make kubernetes` first: {', '.join(left)} are not built")
    with tempfile.TemporaryDirectory(prefix="flowmesh-kubernetes-") as work:
        folder = Path(work)
        client = free_ports(4)
        peer, secure, manager = client + 1, client + 2, client + 3
        _write_credentials(folder, secure)
        api_server = _api_server(folder, client, secure, number)
        processes = {
            "etcd": _start(
                folder,
                "etcd",
                "--unsafe-no-fsync",
                # As kubeadm sets it; versions of bookmarks come from it.
                "--watch-progress-notify-interval=5s",
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{client}",
                f"--advertise-client-urls=http://127.0.0.1:{client}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
            ),
            api_server[0]: _start(folder, *api_server),
        }
        try:
            await _until_ready(folder, secure)
            processes["controllers"] = _start(
                folder,
                "kube-controller-manager",
                f"--kubeconfig={folder / 'kubeconfig'}",
                "--leader-elect=false",
                f"--controllers={CONTROLLERS}",
                f"--secure-port={manager}",
                f"--service-account-private-key-file={folder / 'accounts.key'}",
                "--use-service-account-credentials=false",
                # Tests do not wait for minutes until a new pod counts.
                "--horizontal-pod-autoscaler-sync-period=2s",
                "--horizontal-pod-autoscaler-cpu-initialization-period=5s",
                "--horizontal-pod-autoscaler-initial-readiness-delay=2s",
            )
            address = f"https://127.0.0.1:{secure}"
            kubeconfig = folder / "kubeconfig"
            yield Cluster(folder, address, kubeconfig, api_server, processes, secure)
        finally:
            # Nothing is kept; an API server with open watches ends after half a minute otherwise.
            for process in reversed(processes.values()):
                process.kill()
                process.wait()


@asynccontextmanager
async def serve(
    address: str, port: int, target: Callable[[], tuple[str, int]]
) -> AsyncIterator[None]:
    """Forward the address of a Service to the present address of its pod; port 0 is a socket."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            place, number = target()
            opening = asyncio.open_connection(place, number) if number else _socket(place)
            other_reader, other_writer = await opening
        except (OSError, LookupError):
            writer.close()
            return
        await asyncio.gather(_pipe(reader, other_writer), _pipe(other_reader, writer))

    server = await asyncio.start_server(forward, address, port)
    try:
        yield
    finally:
        server.close()


def _socket(path: str) -> Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    return asyncio.open_unix_connection(path)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _api_server(folder: Path, etcd: int, port: int, number: int) -> Sequence[str]:
    return (
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'server.pem'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--client-ca-file={folder / 'ca.pem'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.pub'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        f"--service-cluster-ip-range=127.{64 + number}.0.0/16",
        "--disable-admission-plugins=ServiceAccount",
        f"--audit-policy-file={folder / 'audit.yaml'}",
        f"--audit-log-path={folder / 'audit.log'}",
    )


def _start(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", str(kubernetes.folder() / name), *arguments],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


async def _until_ready(folder: Path, port: int) -> None:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "admin.pem", folder / "admin.key")
    url = f"https://127.0.0.1:{port}/readyz"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    async def ready() -> bool:
        return await asyncio.to_thread(answers)

    await until("ready", ready, within_s=STARTS_S)


def _write_credentials(folder: Path, port: int) -> None:
    authority, authority_key = _certificate(folder, "ca", "test cluster")
    _certificate(folder, "server", "kube-apiserver", (authority, authority_key))
    _certificate(folder, "admin", "admin", (authority, authority_key), "system:masters")
    accounts = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    (folder / "accounts.key").write_bytes(_pem(accounts))
    public = accounts.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "accounts.pub").write_bytes(public)
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
    (folder / "audit.yaml").write_text(yaml.safe_dump(policy))
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "clusters": [
            {
                "name": "test",
                "cluster": {
                    "server": f"https://127.0.0.1:{port}",
                    "certificate-authority": str(folder / "ca.pem"),
                },
            }
        ],
        "users": [
            {
                "name": "admin",
                "user": {
                    "client-certificate": str(folder / "admin.pem"),
                    "client-key": str(folder / "admin.key"),
                },
            }
        ],
    }
    path = folder / "kubeconfig"
    path.touch(0o600)
    path.write_text(yaml.safe_dump(configuration))


def _certificate(
    folder: Path,
    name: str,
    common: str,
    signer: tuple[x509.Certificate, rsa.RSAPrivateKey] | None = None,
    group: str = "",
) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if group:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    subject = x509.Name(names)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
    )
    if name == "server":
        hosts = [x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc")]
        address = x509.IPAddress(ip_address("127.0.0.1"))
        builder = builder.add_extension(
            x509.SubjectAlternativeName([*hosts, address]), critical=False
        )
    if signer is not None:
        use = (
            ExtendedKeyUsageOID.SERVER_AUTH if name == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    certificate = builder.sign(signer[1] if signer else key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").touch(0o600)
    (folder / f"{name}.key").write_bytes(_pem(key))
    return certificate, key


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
