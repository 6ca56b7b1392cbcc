-- name: streams-to-move(namespace, after, count)
select * from streams where namespace = :namespace and stream > :after
order by stream limit :count;

-- name: take-events(namespace, head, positions, streams, versions, categories, ids, types, data, metadata, at)!
-- Events of another cell, at their positions.
-- seals data of namespace at data of {streams}@{versions}
-- seals metadata of namespace at metadata of {streams}@{versions}
with stored as (
    insert into events (
        namespace, position, stream, version, category, id, type, data, metadata, at
    )
    select :namespace, each.position, each.stream, each.version, each.category, each.id, each.type,
        each.data, each.metadata, each.at
    from unnest(
        :positions::bigint[], :streams::text[], :versions::bigint[], :categories::text[],
        :ids::text[], :types::text[], :data::bytea[], :metadata::bytea[], :at::bigint[]
    ) as each (position, stream, version, category, id, type, data, metadata, at)
)
update namespaces set head = :head where namespace = :namespace;

-- name: take-streams(namespace, streams, categories, versions, first_versions, first_positions, last_positions, created_at, changed_at, max_events, max_age_ms, deleted)!
insert into streams (
    namespace, stream, category, version, first_version, first_position, last_position,
    created_at, changed_at, max_events, max_age_ms, deleted
)
select :namespace, each.*
from unnest(
    :streams::text[], :categories::text[], :versions::bigint[], :first_versions::bigint[],
    :first_positions::bigint[], :last_positions::bigint[], :created_at::bigint[],
    :changed_at::bigint[], :max_events::bigint[], :max_age_ms::bigint[], :deleted::boolean[]
) as each
on conflict (namespace, stream) do update set
    version = excluded.version, first_version = excluded.first_version,
    first_position = excluded.first_position, last_position = excluded.last_position,
    created_at = excluded.created_at, changed_at = excluded.changed_at,
    max_events = excluded.max_events, max_age_ms = excluded.max_age_ms,
    deleted = excluded.deleted;

-- name: trim-streams(namespace, streams, first_versions)!
-- Events that were deleted in the other cell.
delete from events e
using unnest(:streams::text[], :first_versions::bigint[]) as each (stream, first_version)
where e.namespace = :namespace and e.stream = each.stream and e.version < each.first_version;

-- name: delete-snapshots(namespace, streams)!
delete from snapshots where namespace = :namespace and stream = any(:streams::text[]);

-- name: deliveries-after(namespace, event_group, after, count)
-- opens error at error of {event_group}@{position}
select position, attempt, due_at, error from group_deliveries
where namespace = :namespace and event_group = :event_group and position > :after
order by position limit :count;

-- name: take-deliveries(namespace, event_group, positions, attempts, due_at, errors)!
-- seals errors of namespace at error of {event_group}@{positions}
insert into group_deliveries (namespace, event_group, position, attempt, due_at, error)
select :namespace, :event_group, each.position, each.attempt, each.due_at, each.error
from unnest(:positions::bigint[], :attempts::int[], :due_at::bigint[], :errors::text[])
    as each (position, attempt, due_at, error)
on conflict (namespace, event_group, position) do update set
    attempt = excluded.attempt, due_at = excluded.due_at, error = excluded.error;
