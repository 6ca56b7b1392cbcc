"""Two closed cells, and a user with a login at each of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from flowmesh.api.identity.v1.tenant_service_pb2 import CreateProjectRequest
from flowmesh.testing.suite import Suite
from tests.features.cells.three import settings_of
from tests.features.closed import OWNER, PASSWORD, Closed, closed_suite
from tests.features.commands import Outcome, command


@dataclass(frozen=True, slots=True)
class ClosedCells:
    """The control cell us0, and us1."""

    source: Closed
    target: Closed
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the command, with the logins of the user."""
        return {
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    async def project(self, slug: str) -> str:
        """Make a project in both cells, and return its id at the source."""
        ids = []
        for closed in (self.source, self.target):
            request = CreateProjectRequest(organization_id="org_default", slug=slug, namespace=slug)
            ids.append(str((await closed.owner.tenants.CreateProject(request)).project.id))
        return ids[0]

    async def log_in(self) -> None:
        for closed in (self.source, self.target):
            login = await command(
                closed.suite,
                *("login", "--email", OWNER),
                stdin=f"{PASSWORD}\n",
                environment=self.environment,
            )
            assert login.code == 0, login.err

    async def move(self, project: str) -> Outcome:
        """Run the command that moves a project to us1."""
        directory = ("--directory", str(self.source.suite.about["directory"]))
        words = ("cells", "move", project, "--to", "us1", *directory)
        return await command(
            self.source.suite, *words, addressed=False, environment=self.environment
        )


@asynccontextmanager
async def closed_cells(
    folder: Path, *arguments: str, **environment: str
) -> AsyncIterator[ClosedCells]:
    """Run two closed cells."""
    folders = [folder / name for name in ("us0", "us1")]
    for each in folders:
        each.mkdir()
    async with closed_suite(
        folders[0], *arguments, kind=Suite, **settings_of(0, ""), **environment
    ) as source:
        settings = settings_of(1, str(source.suite.about["directory"]))
        async with closed_suite(
            folders[1], *arguments, kind=Suite, **settings, **environment
        ) as target:
            yield ClosedCells(source, target, folder)
