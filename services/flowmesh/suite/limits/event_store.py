"""Bounds of the event store: events, groups of consumers, projections."""

from flowmesh.event.eventstore import limits
from flowmesh.suite.limits.limit import Limit

_APPEND = "event, at an append"
_STORE = "event, at a call of the event store"
_INVALID = "EVENT_STORE_INVALID"
_LARGE = "PAYLOAD_TOO_LARGE"

EVENT_STORE = (
    Limit("data of a stored event", limits.EVENT_BYTES_MAX, "bytes", _LARGE, _APPEND),
    Limit("metadata of a stored event", limits.METADATA_BYTES_MAX, "bytes", _LARGE, _APPEND),
    Limit("events of an append", limits.BATCH_EVENTS_MAX, "events", _LARGE, _APPEND),
    Limit(
        "bytes of an append, or of the states of a commit",
        limits.BATCH_BYTES_MAX,
        "bytes",
        _LARGE,
        _STORE,
    ),
    Limit(
        "type of a stored event, or key of a state",
        limits.TEXT_CHARACTERS_MAX,
        "characters",
        _INVALID,
        _STORE,
    ),
    Limit("snapshot of a stream", limits.SNAPSHOT_BYTES_MAX, "bytes", _LARGE, _STORE),
    Limit("types of a filter of events", limits.TYPES_MAX, "types", _INVALID, _STORE),
    Limit("`max_events` of a stream", limits.RETENTION_EVENTS_MAX, "events", _INVALID, _STORE),
    Limit("`max_age_ms` of a stream", limits.RETENTION_AGE_MS_MAX, "ms", _INVALID, _STORE),
    Limit(
        "groups of consumers of a namespace",
        limits.GROUPS_MAX,
        "groups",
        "EVENT_STORE_TOO_LARGE",
        _STORE,
    ),
    Limit("lease of a delivered event", limits.LEASE_MAX_MS, "ms", _INVALID, _STORE),
    Limit("attempts of an event", limits.ATTEMPTS_MAX, "deliveries", _INVALID, _STORE),
    Limit("retry delay of an event", limits.RETRY_DELAY_MAX_MS, "ms", _INVALID, _STORE),
    Limit("events received or settled by a call", limits.RECEIVE_MAX, "events", _INVALID, _STORE),
    Limit(
        "wait for events",
        limits.RECEIVE_WAIT_MS_MAX,
        "ms",
        _INVALID,
        _STORE,
        "20,000 over REST",
    ),
    Limit(
        "projections of a namespace",
        limits.PROJECTIONS_MAX,
        "projections",
        "EVENT_STORE_TOO_LARGE",
        _STORE,
    ),
    Limit("states of a commit", limits.STATES_MAX, "states", _LARGE, _STORE),
    Limit("state of a projection", limits.STATE_BYTES_MAX, "bytes", _LARGE, _STORE),
)
