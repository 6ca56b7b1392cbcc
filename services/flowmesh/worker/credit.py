"""The slots of one worker set: free, granted to an orchestrator, or running a task.

Bookkeeping without I/O. It decides the slots granted to each stream, and the streams whose unused
slots are recalled. Slots are conserved: free + granted + running = slots, except for a while after
the number of slots is reduced.
"""

from collections.abc import Sequence

RESERVE_FROM_SLOTS = 8
"""A stream without tasks keeps one slot for its next task if there are this many slots for each."""


class Credit:
    """The slots of one set, by stream."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running = 0
        self._granted: dict[str, int] = {}
        self._backlog: dict[str, int] = {}
        self._recalled_at: dict[str, float] = {}
        # Streams that know the set, and those that have had credit of it.
        self._introduced: set[str] = set()
        self._served: set[str] = set()
        self._turn = 0
        self._last_turn: dict[str, int] = {}

    @property
    def free(self) -> int:
        return max(0, self.slots - self.running - sum(self._granted.values()))

    @property
    def overdrawn(self) -> bool:
        """True if more is granted than there are slots, after their number was reduced."""
        granted = sum(self._granted.values())
        return granted > 0 and self.running + granted > self.slots

    def granted(self, stream_id: str) -> int:
        return self._granted.get(stream_id, 0)

    def spend(self, stream_id: str) -> bool:
        """Use a slot for a task of a stream; return False if the stream has no credit."""
        if self._granted.get(stream_id, 0) < 1:
            return False
        self._granted[stream_id] -= 1
        self.running += 1
        return True

    def adopt(self) -> None:
        """Use a slot for a task that runs already."""
        self.running += 1

    def release(self) -> None:
        """Free the slot of a task that has ended or moved."""
        self.running -= 1

    def forget(self, stream_id: str) -> None:
        """Take back everything that was granted on a broken stream."""
        self._granted.pop(stream_id, None)
        self._backlog.pop(stream_id, None)
        self._recalled_at.pop(stream_id, None)
        self._introduced.discard(stream_id)
        self._served.discard(stream_id)
        self._last_turn.pop(stream_id, None)

    def set_backlog(self, stream_id: str, tasks: int) -> None:
        self._backlog[stream_id] = tasks

    def grant(self, stream_ids: Sequence[str]) -> dict[str, int]:
        """Grant free slots to these streams; return the number for each.

        A single stream gets all. Of several, each gets one if there are plenty, else those with
        waiting tasks. Then streams with waiting tasks get slots in proportion; the rest fills equal
        shares. A stream to which the set is new gets a grant, of 0 at least, so that its
        orchestrator reports a backlog.
        """
        grants: dict[str, int] = {}
        if len(stream_ids) == 1:
            self._grant_slots(grants, stream_ids[0], self.free)
        else:
            self._share(grants, stream_ids)
        for stream_id in stream_ids:
            if stream_id not in self._introduced:
                self._introduced.add(stream_id)
                grants.setdefault(stream_id, 0)
        return grants

    def _share(self, grants: dict[str, int], stream_ids: Sequence[str]) -> None:
        # Few slots rotate among the streams with tasks.
        turns = sorted(
            stream_ids, key=lambda one: (self._unmet_backlog(one) == 0, self._last_turn.get(one, 0))
        )
        needed = not self._reserve(stream_ids) and any(map(self._unmet_backlog, stream_ids))
        for stream_id in turns:
            empty = self.granted(stream_id) == 0 and stream_id not in self._recalled_at
            if empty and (self._unmet_backlog(stream_id) or not needed):
                self._grant_slots(grants, stream_id, 1)
        needs = {stream_id: self._unmet_backlog(stream_id) for stream_id in stream_ids}
        total, free = sum(needs.values()), self.free
        for stream_id, need in needs.items():
            if need:
                self._grant_slots(grants, stream_id, min(need, -(-free * need // total)))
        share = -(-self.slots // len(stream_ids)) if stream_ids else 0
        for stream_id in stream_ids:
            if stream_id not in self._recalled_at:
                self._grant_slots(grants, stream_id, share - self.granted(stream_id))

    def recall(self, stream_ids: Sequence[str], now_ms: float) -> list[str]:
        """Return streams whose unused slots are recalled for others that need some."""
        if self.free or not any(self._starved(stream_id) for stream_id in stream_ids):
            return []
        reserve = self._reserve(stream_ids)
        idle = [
            stream_id
            for stream_id in stream_ids
            if not self._unmet_backlog(stream_id)
            and self.granted(stream_id) > reserve
            and stream_id not in self._recalled_at
        ]
        for stream_id in idle:
            self._recalled_at[stream_id] = now_ms
        return idle

    def recall_all(self, now_ms: float) -> list[str]:
        """Recall all unused slots of a set that takes no more tasks; return the streams."""
        holders = [stream_id for stream_id, slots in self._granted.items() if slots]
        for stream_id in holders:
            self._recalled_at.setdefault(stream_id, now_ms)
        return holders

    def answer(self, stream_id: str, left: int) -> None:
        """Take back the unused slots that a stream returns.

        Its backlog is cleared if there were any, because it could not use them; it reports a new
        one when it can.
        """
        self._recalled_at.pop(stream_id, None)
        if left:
            self._backlog.pop(stream_id, None)
        self._granted[stream_id] = max(0, self.granted(stream_id) - left)

    def unanswered(self, before_ms: float) -> list[str]:
        return [stream_id for stream_id, at in self._recalled_at.items() if at < before_ms]

    def _reserve(self, stream_ids: Sequence[str]) -> int:
        """Return the slots that each stream keeps even while others have waiting tasks."""
        return 1 if self.slots >= RESERVE_FROM_SLOTS * len(stream_ids) else 0

    def _starved(self, stream_id: str) -> bool:
        """Return whether a stream has no credit, and is new or has waiting tasks."""
        if self.granted(stream_id) or stream_id in self._recalled_at:
            return False
        return self._unmet_backlog(stream_id) > 0 or stream_id not in self._served

    def _unmet_backlog(self, stream_id: str) -> int:
        return max(0, self._backlog.get(stream_id, 0) - self.granted(stream_id))

    def _grant_slots(self, grants: dict[str, int], stream_id: str, slots: int) -> None:
        slots = min(slots, self.free)
        if slots > 0:
            self._granted[stream_id] = self.granted(stream_id) + slots
            self._served.add(stream_id)
            self._turn += 1
            self._last_turn[stream_id] = self._turn
            grants[stream_id] = grants.get(stream_id, 0) + slots
