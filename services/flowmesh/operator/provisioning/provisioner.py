"""Brings the objects of Apps and Infrastructure to what they say."""

import base64
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from lightkube import ApiError, AsyncClient
from lightkube.types import PatchType

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.extras.kubernetes import namespaced_kind
from flowmesh.operator.kinds import FIELD_MANAGER, Key, Object
from flowmesh.operator.limits import PROVISION_AGAIN_S, PROVISION_PROGRESS_S
from flowmesh.operator.objects import Objects, condition
from flowmesh.operator.provisioning import apps, infrastructure, manifests
from flowmesh.operator.provisioning.checks import Checks
from flowmesh.operator.provisioning.refusals import refusals
from flowmesh.operator.provisioning.rollout import COLOURS, Colour, Plan, State, plan
from flowmesh.operator.status import Outcome

SEED: Final = "flowmesh-infrastructure"
_KINDS: Final = {
    kind: namespaced_kind(group, version, kind, plural)
    for group, version, kind, plural in (
        ("apps", "v1", "Deployment", "deployments"),
        ("apps", "v1", "StatefulSet", "statefulsets"),
        ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        ("", "v1", "Service", "services"),
        ("", "v1", "ConfigMap", "configmaps"),
        ("", "v1", "Secret", "secrets"),
    )
}


class Foreign(Exception):
    """An object that is to be made exists, and belongs to another."""


class Provisioner:
    """Reconciles one object at a time; each call begins from what the API server has."""

    def __init__(
        self, *, client: AsyncClient, objects: Objects, checks: Checks, namespace: str, image: str
    ) -> None:
        self._client = client
        self._objects = objects
        self._checks = checks
        self._namespace = namespace
        self._image = image
        self._seed = b""

    async def reconcile(self, key: Key, found: Object) -> tuple[Outcome, float]:
        """Take the next steps for an object; return the outcome, and when to look again, in s."""
        try:
            outcome = await (self._app(found) if key.kind == "App" else self._server(found))
        except Foreign as error:
            outcome = Outcome(False, "OwnedElsewhere", str(error))
        except ApiError as error:
            # Anything else may pass, as a right that arrives later.
            if error.status.code not in (400, 422):
                raise
            outcome = Outcome(False, "Invalid", str(error.status.message))
        return outcome, PROVISION_AGAIN_S if outcome.ready else PROVISION_PROGRESS_S

    async def check(self, found: Object) -> list[definition_pb2.Problem]:
        """Return why the API server would refuse the objects of an App or an Infrastructure.

        It is asked without storing them. What it lets nobody see here shows in the status.
        """
        problems: list[definition_pb2.Problem] = []
        for each in _objects_of(found, self._image):
            try:
                if not await self._is_foreign(found, each):
                    await self._apply(each, dry_run=True)
            except ApiError as error:
                if error.status.code in (400, 422):
                    problems += refusals(each, error)
                elif error.status.code not in (403, 404):
                    raise
        return problems

    # --- infrastructure ---

    async def _server(self, found: Object) -> Outcome:
        name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
        secret = infrastructure.secret_name(found)
        more = {"secret": secret}
        present = await self._get("Secret", namespace, secret)
        data = _decoded(present)
        if found["spec"].get("external"):
            missing = infrastructure.missing_outputs(found, data)
            text = f"the Secret {secret} has no {', '.join(missing)}"
            return Outcome(
                not missing, "SecretIncomplete" if missing else "External", text * bool(missing),
                more=more,
            )  # fmt: skip
        if infrastructure.missing_outputs(found, data) or not data.get("password"):
            # The password that the server has is kept; a lost one is made again.
            seed = await self._seed_of_cluster()
            password = data.get("password") or infrastructure.password_of(found, seed)
            await self._apply(infrastructure.secret(found, password))
        await self._own(found, infrastructure.service(found))
        await self._own(found, infrastructure.stateful_set(found))
        running = await self._get("StatefulSet", namespace, name) or {}
        if not (running.get("status") or {}).get("readyReplicas"):
            return Outcome(False, "Progressing", "the server is not ready yet", more=more)
        return Outcome(True, "Running", more=more)

    async def _seed_of_cluster(self) -> bytes:
        """Return the secret of which passwords are made; the first call of a cluster makes it."""
        if not self._seed:
            text = _decoded(await self._get("Secret", self._namespace, SEED)).get("seed")
            if not text:
                text = secrets.token_urlsafe(32)
                metadata = {"name": SEED, "namespace": self._namespace}
                body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
                await self._apply(body | {"stringData": {"seed": text}})
            self._seed = text.encode()
        return self._seed

    # --- apps ---

    async def _app(self, app: Object) -> Outcome:
        name, namespace = app["metadata"]["name"], app["metadata"]["namespace"]
        service = await self._get("Service", namespace, name)
        if service is not None and not manifests.is_of(app, service):
            raise Foreign(f"the Service {name} exists and is not of this App")
        state = await self._state(app, service)
        variables, missing = self._variables(app)
        strategy = app["spec"].get("strategy") or {}
        release = apps.release_of(app, self._image)
        wanted = plan(
            state,
            release,
            active=app["spec"].get("active") or "",
            keep_s=strategy.get("keepSeconds", 600),
            now_s=time.time(),
        )
        more = _told(state, wanted)
        if missing:
            text = f"waits for {', '.join(missing)}"
            return Outcome(False, "InfrastructureMissing", text, more=more)
        await self._deploy(app, state, wanted, variables)
        if wanted.target != state.serving:
            return await self._switch(app, state, wanted, more)
        if scaler := apps.autoscaler(app, wanted.target):
            await self._own(app, scaler)
        elif await self._get("HorizontalPodAutoscaler", namespace, name):
            await self._client.delete(_KINDS["HorizontalPodAutoscaler"], name, namespace=namespace)
        await self._apply(apps.service(app, state.serving, _switched(service)))
        if wanted.idle:
            await self._scale(app, wanted.idle, 0)
        serving = state.colours.get(state.serving)
        if serving is None or not serving.ready:
            return Outcome(False, "Unready", f"{state.serving} is not ready", more=more)
        return Outcome(True, "Serving", f"{state.serving} has the traffic", more=more)

    async def _state(self, app: Object, service: Object | None) -> State:
        name, namespace = app["metadata"]["name"], app["metadata"]["namespace"]
        colours = {}
        for each in COLOURS:
            found = await self._get("Deployment", namespace, f"{name}-{each}")
            if found is not None:
                colours[each] = _colour(found)
        if service is None:
            return State(colours)
        selector = service["spec"].get("selector") or {}
        since = datetime.fromisoformat(_switched(service)).timestamp()
        return State(colours, selector.get(manifests.COLOUR, ""), since)

    def _variables(self, app: Object) -> tuple[dict[str, dict[str, str]], list[str]]:
        """Return the variables of the Infrastructure that an App names, and what is not ready."""
        variables: dict[str, dict[str, str]] = {}
        missing = []
        for name in app["spec"].get("infrastructure") or []:
            key = Key("Infrastructure", app["metadata"]["namespace"], name)
            found = self._objects.get(key)
            if found is None or condition(found, "Ready").get("status") != "True":
                missing.append(name)
            else:
                variables |= infrastructure.variables_of(found)
        return variables, missing

    async def _deploy(
        self,
        app: Object,
        state: State,
        wanted: Plan,
        variables: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Give `newest` the spec and both its pods; what serves is not touched otherwise."""
        most = max((each.replicas for each in state.colours.values()), default=0)
        if (source := apps.document_map(app, wanted.newest)) is not None:
            await self._own(app, source)
        await self._own(
            app,
            apps.deployment(
                app,
                wanted.newest,
                image=self._image,
                replicas=apps.replicas_of(app, _present(state, wanted.newest) or most),
                secrets=variables,
            ),
        )
        await self._own(app, apps.service(app, wanted.newest))
        for each in {wanted.target, state.serving} - {wanted.newest, ""}:
            replicas = apps.replicas_of(app, _present(state, each) or most)
            if each in state.colours and state.colours[each].replicas != replicas:
                await self._scale(app, each, replicas)

    async def _switch(
        self, app: Object, state: State, wanted: Plan, more: Mapping[str, Any]
    ) -> Outcome:
        """Give the traffic to another colour once it is ready and its checks pass."""
        name, namespace = app["metadata"]["name"], app["metadata"]["namespace"]
        target = await self._get("Deployment", namespace, f"{name}-{wanted.target}")
        seen = _colour(target) if target is not None else None
        if seen is None or not seen.ready:
            keeps = f"; {state.serving} keeps the traffic" if state.serving else ""
            text = f"{wanted.target} is not ready{keeps}"
            return Outcome(False, "Progressing", text, more=more)
        listed = (app["spec"].get("strategy") or {}).get("checks") or []
        own = await self._get("Service", namespace, f"{name}-{wanted.target}")
        problem = await self._checks.problem(app, wanted.target, seen.release, listed, own)
        if problem:
            return Outcome(False, "CheckFailed", problem, more=more)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        await self._apply(apps.service(app, wanted.target, now))
        text = f"{wanted.target} has the traffic"
        more = {**more, "colour": wanted.target, "release": seen.release}
        return Outcome(True, "Serving", text, more=more)

    async def _scale(self, app: Object, colour: str, replicas: int) -> None:
        name, namespace = app["metadata"]["name"], app["metadata"]["namespace"]
        await self._client.patch(
            _KINDS["Deployment"],
            f"{name}-{colour}",
            {"spec": {"replicas": replicas}},
            namespace=namespace,
            patch_type=PatchType.MERGE,
            field_manager=FIELD_MANAGER,
        )

    # --- objects ---

    async def _get(self, kind: str, namespace: str, name: str) -> Object | None:
        try:
            return await self._client.get(_KINDS[kind], name, namespace=namespace)
        except ApiError as error:
            if error.status.code != 404:
                raise
        return None

    async def _own(self, owner: Object, wanted: Mapping[str, Any]) -> None:
        """Apply an object unless it exists and belongs to another. Raises Foreign."""
        if await self._is_foreign(owner, wanted):
            kind, name = wanted["kind"], wanted["metadata"]["name"]
            raise Foreign(f"the {kind} {name} exists and is not of this {owner['kind']}")
        await self._apply(wanted)

    async def _is_foreign(self, owner: Object, wanted: Mapping[str, Any]) -> bool:
        """Return whether an object exists and belongs to another."""
        metadata = wanted["metadata"]
        present = await self._get(wanted["kind"], metadata["namespace"], metadata["name"])
        return present is not None and not manifests.is_of(owner, present)

    async def _apply(self, wanted: Mapping[str, Any], *, dry_run: bool = False) -> None:
        metadata = wanted["metadata"]
        await self._client.patch(
            _KINDS[wanted["kind"]],
            metadata["name"],
            dict(wanted),
            namespace=metadata["namespace"],
            patch_type=PatchType.APPLY,
            field_manager=FIELD_MANAGER,
            force=True,
            dry_run=dry_run,
        )


def _objects_of(found: Object, image: str) -> list[Object]:
    """Return the objects that the spec of an App or an Infrastructure shapes."""
    if found["kind"] == "Infrastructure":
        if found["spec"].get("external"):
            return []
        return [infrastructure.service(found), infrastructure.stateful_set(found)]
    colour = COLOURS[0]
    replicas = apps.replicas_of(found, 0)
    listed = (
        apps.document_map(found, colour),
        apps.deployment(found, colour, image=image, replicas=replicas, secrets={}),
        apps.service(found, colour),
        apps.autoscaler(found, colour),
    )
    return [each for each in listed if each is not None]


def _colour(found: Object) -> Colour:
    spec, status = found["spec"], found.get("status") or {}
    wanted = spec.get("replicas", 1)
    current = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    enough = all(
        (status.get(name) or 0) >= wanted for name in ("updatedReplicas", "availableReplicas")
    )
    annotations = found["metadata"].get("annotations") or {}
    release = annotations.get(manifests.RELEASE, "")
    return Colour(release, wanted, bool(wanted and current and enough))


def _present(state: State, colour: str) -> int:
    return state.colours[colour].replicas if colour in state.colours else 0


def _switched(service: Object | None) -> str:
    annotations = (service or {"metadata": {}})["metadata"].get("annotations") or {}
    return str(annotations.get(manifests.SWITCHED) or "1970-01-01T00:00:00+00:00")


def _decoded(secret: Object | None) -> dict[str, str]:
    data = (secret or {}).get("data") or {}
    return {name: base64.b64decode(text).decode("utf-8", "replace") for name, text in data.items()}


def _told(state: State, wanted: Plan) -> dict[str, Any]:
    """Return the status of an App beside its conditions."""
    serving = state.colours.get(state.serving)
    told = {"next": wanted.newest}
    return told | ({"colour": state.serving, "release": serving.release} if serving else {})
