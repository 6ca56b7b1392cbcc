"""A hosted application cannot read, reach or stop anything that is not its own."""

import asyncio
import json
import os
import socket
import sys
import venv
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.walls.plan import Connections, Granted, Plan, Walls, interpreter
from flowmesh.walls.probing import free_uid, probe

STRANGER = Path(__file__).with_name("stranger.py")
DOCUMENT = """\
name: attacker
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: routes, type: http.router}
- {name: db, type: database.workflow, config: {driver: sqlite, dsn: own.db}}
- {name: word, type: http.handler, config: {path: /word, method: GET, body: "yes"}}
"""


SCRIPT = """\
import asyncio, json, sys
from tests.hostile.processes.test_hosted_processes import behind_walls
print(json.dumps(asyncio.run(behind_walls(json.loads(sys.argv[1])))))
"""


@pytest.fixture(scope="module")
def infected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter whose hosted applications run the code of a stranger at their start."""
    folder = tmp_path_factory.mktemp("infected") / "env"
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "stranger.py").write_text(STRANGER.read_text())
    libraries = next(each for each in sys.path if each.endswith("site-packages"))
    (site / "a.pth").write_text(f"import site; site.addsitedir({libraries!r})\n")
    (site / "b.pth").write_text("import stranger; stranger.when_hosted()\n")
    return str(folder / "bin" / "python")


@pytest.fixture(scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory, infected: str) -> AsyncIterator[Suite]:
    """A suite on this interpreter that calls public addresses only."""
    data = tmp_path_factory.mktemp("stranger") / "data"
    environment = {"FLOWMESH_EGRESS": "public", "FLOWMESH_APP_ISOLATION": "auto"}
    async with Suite(data, python=infected, environment=environment) as running:
        yield running


@pytest.fixture
def listening() -> Iterator[tuple[int, str]]:
    """A port and an abstract socket of another process."""
    name = f"\0flowmesh-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(name)
        local.listen()
        yield server.getsockname()[1], name.replace("\0", "@")


def targets_of(data: Path, listening: tuple[int, str], outside: Path) -> dict[str, Any]:
    """Return the targets of the attempts; all of them exist."""
    port, abstract = listening
    home = Path.home() / ".profile"
    other = data / "apps" / "default" / "victim" / "data" / "secret.db"
    return {
        "data": str(data),
        "pid": os.getpid(),
        "ports": {"bus": port, "internal": port},
        "other_file": str(other),
        "home_file": str(home),
        "outside": str(outside),
        "abstract": abstract,
        "document": str(data / "apps" / "default" / "attacker" / "releases" / "1" / "app.yaml"),
    }


def plant(data: Path) -> None:
    """Create what the attempts look for, where a suite has not done so."""
    for name in ("key", "postgres.password", "apps/default/victim/data/secret.db"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        with (data / name).open("a") as file:
            file.write("secret" if name != "postgres.password" else "")


def give(folder: Path, uid: int) -> None:
    for each in (folder, *folder.rglob("*")):
        os.chown(each, uid, uid)


@pytest.mark.long
async def test_a_hosted_process_reaches_nothing(
    suite: Suite, listening: tuple[int, str], tmp_path: Path
) -> None:
    """Each attempt from inside of its process fails; the application itself serves."""
    targets = targets_of(suite.data_dir, listening, tmp_path)
    plant(suite.data_dir)
    answer = await suite.request(
        "POST",
        "/api/v1/apps/attacker:deploy",
        {"document": DOCUMENT, "files": {"targets.json": {"text": json.dumps(targets)}}},
    )
    assert answer.status == 201, answer.text
    found: dict[str, bool] = {}

    async def attempted() -> bool:
        text = (suite.data_dir / "apps" / "default" / "attacker" / "log").read_text()
        lines = [line for line in text.splitlines() if "ATTEMPTS" in line]
        if lines:
            found.update(json.loads(lines[-1].partition("\t")[2])["found"])
        return bool(lines)

    await until("the attempts", attempted, within_s=20)
    assert len(found) >= 20
    assert [name for name, succeeded in found.items() if succeeded] == []


@pytest.mark.long
@pytest.mark.parametrize("ordinary", [False, True], ids=["user-of-the-suite", "ordinary-user"])
async def test_the_walls_hold(ordinary: bool, listening: tuple[int, str], tmp_path: Path) -> None:
    """All attempts fail behind the walls of this host, also where the suite is no root."""
    data, mine = tmp_path / "data", tmp_path / "mine"
    targets = targets_of(data, listening, tmp_path)
    plant(data)
    mine.mkdir()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    if ordinary and os.geteuid() == 0:
        uid = free_uid(set())
        give(tmp_path, uid)
        found = await as_user(uid, tmp_path, script, targets)
    else:
        found = await behind_walls(targets)
    assert len(found) >= 20
    assert [name for name, succeeded in found.items() if succeeded] == []


async def behind_walls(targets: dict[str, Any]) -> dict[str, bool]:
    """Run the attempts behind all walls that stand for this user."""
    report = await probe()
    folder = Path(targets["outside"])
    plan = Plan(
        walls=report.walls,
        granted=Granted(read=(str(STRANGER),), write=(str(folder / "mine"),)),
        connections=Connections("public"),
        uid=free_uid(set()),
        interpreter=report.interpreter,
    )
    return await output_of(plan, (sys.executable, "-I", str(STRANGER), json.dumps(targets)))


async def as_user(uid: int, folder: Path, script: Path, targets: Any) -> dict[str, bool]:
    """Run the attempts from a host process of another user, which itself sees the targets."""
    root = str(Path(__file__).parents[3])
    plan = Plan(
        walls=Walls(namespaces=True, own_user=True),
        granted=Granted(read=(root,), write=(str(folder),)),
        connections=Connections("open"),
        uid=uid,
        interpreter=await interpreter(),
    )
    code = f"import sys; sys.path.insert(0, {root!r}); exec(open({str(script)!r}).read())"
    return await output_of(plan, (sys.executable, "-I", "-c", code, json.dumps(targets)))


async def output_of(plan: Plan, program: tuple[str, ...]) -> dict[str, bool]:
    process = await asyncio.create_subprocess_exec(
        *plan.argv(program), stdout=asyncio.subprocess.PIPE, cwd="/"
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, bool] = json.loads(output)
    return found
