"""Projections: commits with checkpoints, rebuilds into a shadow, swaps."""

from flowmesh.api.eventstore.v1 import projection_service_pb2 as pb
from flowmesh.errors import NotFound, TooLarge, WrongState
from flowmesh.eventstore import limits
from flowmesh.eventstore.checks import (
    check_json,
    check_range,
    check_room,
    check_text,
    checked_filter,
    invalid,
    page_size,
)
from flowmesh.eventstore.projection_store import ProjectionStore
from flowmesh.failpoints import failpoint
from flowmesh.rpc import last_of_token, list_key, page_token, valid_id


class Projections:
    """States by key with a checkpoint."""

    def __init__(self, *, store: ProjectionStore) -> None:
        self._store = store

    async def put(self, namespace: str, given: pb.Projection) -> pb.PutProjectionResponse:
        """Create a projection, or return the existing one."""
        name = valid_id(given.projection, "projection.projection")
        chosen = checked_filter(given.filter)
        if await self._store.named(namespace, name) is None:
            check_room("projections", await self._store.count(namespace), limits.PROJECTIONS_MAX)
            created = await self._store.add(namespace, name, chosen)
        else:
            created = False
        found = await self.get(namespace, name)
        if found.filter != chosen:
            raise WrongState(
                "PROJECTION_DIFFERS",
                f"the projection {name!r} exists with another filter; delete it, or use another"
                " name",
            )
        return pb.PutProjectionResponse(projection=found, created=created)

    async def get(self, namespace: str, name: str) -> pb.Projection:
        found = await self._store.named(namespace, valid_id(name, "projection"))
        if found is None:
            raise _missing(name)
        return found

    async def all(self, namespace: str) -> list[pb.Projection]:
        return await self._store.all(namespace)

    async def commit(self, namespace: str, request: pb.CommitProjectionRequest) -> None:
        """Store states and the checkpoint in one transaction, or nothing."""
        name = valid_id(request.projection, "projection")
        check_range(request.generation, "generation", 1, limits.LAST_VERSION)
        check_range(request.from_checkpoint, "from_checkpoint", 0, limits.LAST_VERSION)
        check_range(
            request.to_checkpoint, "to_checkpoint", request.from_checkpoint, limits.LAST_VERSION
        )
        check_states(request)
        async with self._store.changing(namespace, name) as change:
            if change.projection is None:
                raise _missing(name)
            moved = await change.advance(
                request.generation, request.from_checkpoint, request.to_checkpoint
            )
            if not moved:
                raise WrongState(
                    "PROJECTION_MOVED",
                    f"{name}: generation {request.generation} is no longer at position"
                    f" {request.from_checkpoint}; read the projection again",
                )
            await change.write(request.generation, request.states)
            failpoint("eventstore.projected")

    async def read(
        self, namespace: str, request: pb.ReadProjectionRequest
    ) -> pb.ReadProjectionResponse:
        """Return states by key, or a page of all."""
        check_range(request.generation, "generation", 0, limits.LAST_VERSION)
        if len(request.keys) > limits.STATES_MAX:
            raise invalid("keys", f"has more than {limits.STATES_MAX} entries")
        for number, key in enumerate(request.keys):
            check_text(key, f"keys[{number}]")
        found = await self.get(namespace, request.projection)
        generation = request.generation or found.generation
        shadow = generation == found.shadow_generation
        checkpoint = found.shadow_checkpoint if shadow else found.checkpoint
        if request.keys:
            states = await self._store.states(
                namespace, found.projection, generation, list(request.keys)
            )
            return pb.ReadProjectionResponse(states=states, checkpoint=checkpoint)
        size = page_size(request.page_size)
        name = list_key(request)
        after = last_of_token(request.page_token, name)
        states = await self._store.states_after(
            namespace, found.projection, generation, after, size + 1
        )
        token = page_token(name, states[size - 1].key) if len(states) > size else ""
        return pb.ReadProjectionResponse(
            states=states[:size], next_page_token=token, checkpoint=checkpoint
        )

    async def rebuild(self, namespace: str, name: str) -> pb.Projection:
        """Begin a rebuild; the states stay readable."""
        async with self._store.changing(namespace, valid_id(name, "projection")) as change:
            if change.projection is None:
                raise _missing(name)
            await change.begin_rebuild()
            await change.keep(change.projection.generation)
            await change.note(rebuild=True)
        return await self.get(namespace, name)

    async def swap(self, namespace: str, request: pb.SwapProjectionRequest) -> pb.Projection:
        """Replace the states by the shadow."""
        name = valid_id(request.projection, "projection")
        async with self._store.changing(namespace, name) as change:
            found = change.projection
            if found is None:
                raise _missing(name)
            shadow = found.shadow_generation
            if not shadow or request.generation != shadow:
                raise WrongState(
                    "PROJECTION_MOVED", f"{name}: generation {request.generation} is no shadow"
                )
            if found.shadow_checkpoint < found.checkpoint:
                raise WrongState(
                    "PROJECTION_MOVED",
                    f"{name}: the shadow is at position {found.shadow_checkpoint}, behind"
                    f" {found.checkpoint}",
                )
            await change.swap()
            await change.keep(shadow)
            await change.note(generation=shadow)
        return await self.get(namespace, name)

    async def delete(self, namespace: str, name: str) -> None:
        async with self._store.changing(namespace, valid_id(name, "projection")) as change:
            if change.projection is None:
                raise _missing(name)
            await change.keep()
            await change.delete()
            await change.note()


def check_states(request: pb.CommitProjectionRequest) -> None:
    """Raise Invalid or TooLarge for states that cannot be stored."""
    size = sum(len(each.state) for each in request.states)
    if len(request.states) > limits.STATES_MAX or size > limits.BATCH_BYTES_MAX:
        raise TooLarge(
            "PAYLOAD_TOO_LARGE",
            f"states: has {len(request.states):,} entries with {size:,} bytes; at most"
            f" {limits.STATES_MAX:,} and {limits.BATCH_BYTES_MAX:,} are allowed",
        )
    seen: set[str] = set()
    for number, each in enumerate(request.states):
        check_text(each.key, f"states[{number}].key")
        check_json(each.state, f"states[{number}].state", limits.STATE_BYTES_MAX)
        if each.key in seen:
            raise invalid(f"states[{number}].key", f"{each.key!r} is given twice")
        seen.add(each.key)


def _missing(name: str) -> NotFound:
    return NotFound("PROJECTION_NOT_FOUND", f"there is no projection {name!r}; create it first")
