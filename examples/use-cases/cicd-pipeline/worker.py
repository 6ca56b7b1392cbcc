"""Worker of the CI/CD pipeline: runs tools, builds an artifact, uploads and deploys it."""

import asyncio
import shutil
import sys
import zipapp
from pathlib import Path
from typing import Any

from flowmesh.sdk import TaskContext, TaskFailure, Worker

ROOT = Path(__file__).resolve().parent
BUILD = ROOT / "build"

worker = Worker()


class ArtifactStore:
    """Stands for a remote store; refuses the first request for each file, as a busy one may."""

    folder = BUILD / "store"

    def __init__(self) -> None:
        self._asked: set[Path] = set()

    def put(self, file: Path) -> Path:
        if file not in self._asked:
            self._asked.add(file)
            raise ConnectionError("the artifact store reset the connection")
        self.folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(file, self.folder))


store = ArtifactStore()


@worker.task("run-tool")
async def run_tool(input: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    """Run Python with arguments; a non-zero exit code fails the task for good."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *input["arguments"],
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    context.log("finished", exit_code=process.returncode)
    if process.returncode:
        raise TaskFailure("ToolFailed", printed.decode()[-2_000:])
    return {"printed": printed.decode().strip()}


@worker.task("build-artifact")
def build(input: dict[str, Any]) -> dict[str, Any]:
    """Pack the program into one file that Python runs."""
    file = BUILD / f"app-{input['version']}.pyz"
    file.parent.mkdir(exist_ok=True)
    zipapp.create_archive(ROOT / "app", file)
    return {"file": str(file)}


@worker.task("upload-artifact")
def upload(input: dict[str, Any]) -> dict[str, Any]:
    """Translate the error of the library into a class that the task's retry policy names."""
    try:
        return {"artifact": str(store.put(Path(input["file"])))}
    except ConnectionError as error:
        raise TaskFailure("NetworkError", str(error)) from error


@worker.task("deploy-artifact")
def deploy(input: dict[str, Any]) -> dict[str, Any]:
    """Replace the program of an environment; deploying the same artifact again is harmless."""
    program = BUILD / input["environment"] / "app.pyz"
    program.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(input["artifact"], program)
    return {"program": str(program)}


if __name__ == "__main__":
    worker.run()
