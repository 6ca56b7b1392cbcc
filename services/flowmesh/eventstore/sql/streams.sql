-- name: add-namespace(namespace)!
insert into namespaces (namespace) values (:namespace) on conflict do nothing;

-- name: lock-head(namespace)$
-- Locks the positions of the namespace until the end of the transaction.
select head from namespaces where namespace = :namespace for update;

-- name: head-of(namespace)$
select head from namespaces where namespace = :namespace;

-- name: streams-named(namespace, streams)
select stream, version, deleted, first_position, last_position
from streams where namespace = :namespace and stream = any(:streams::text[]);

-- name: events-with-ids(namespace, streams, ids, firsts, lasts)
-- Stored events among those to append: one lookup in the index each, between the bounds of its
-- stream. Bounds that were parameters would look narrow, and the wrong index cheap.
select given.stream, given.id, e.version, e.position
from unnest(:streams::text[], :ids::text[], :firsts::bigint[], :lasts::bigint[])
    as given (stream, id, first, last)
cross join lateral (
    select version, position from events
    where namespace = :namespace and stream = given.stream and id = given.id
        and position between given.first and given.last
    limit 1
) as e;

-- name: add-events(namespace, head, positions, ids, types, data, metadata, streams, versions, categories, changed, last_versions, firsts, lasts, of, at)!
-- Stores events, the ends of their streams and the head of the namespace.
-- seals data of namespace at data of {streams}@{versions}
-- seals metadata of namespace at metadata of {streams}@{versions}
with stored as (
    insert into events (
        namespace, position, stream, version, category, id, type, data, metadata, at
    )
    select :namespace, each.position, each.stream, each.version, each.category, each.id, each.type,
        each.data, each.metadata, :at
    from unnest(
        :positions::bigint[], :streams::text[], :versions::bigint[], :categories::text[],
        :ids::text[], :types::text[], :data::bytea[], :metadata::bytea[]
    ) as each (position, stream, version, category, id, type, data, metadata)
), ended as (
    insert into streams (
        namespace, stream, category, version, first_position, last_position, created_at, changed_at
    )
    select :namespace, each.stream, each.category, each.version, each.first, each.last, :at, :at
    from unnest(
        :changed::text[], :of::text[], :last_versions::bigint[], :firsts::bigint[], :lasts::bigint[]
    ) as each (stream, category, version, first, last)
    on conflict (namespace, stream) do update set
        version = excluded.version, last_position = excluded.last_position,
        changed_at = excluded.changed_at
)
update namespaces set head = :head where namespace = :namespace;

-- name: stream-info(namespace, stream)^
select s.*, coalesce(n.version, 0) as snapshot_version
from streams s
left join snapshots n on n.namespace = s.namespace and n.stream = s.stream
where s.namespace = :namespace and s.stream = :stream and not s.deleted;

-- name: lock-stream(namespace, stream)^
select * from streams
where namespace = :namespace and stream = :stream and not deleted for update;

-- name: streams-after(namespace, category, after, count)
select s.*, coalesce(n.version, 0) as snapshot_version
from streams s
left join snapshots n on n.namespace = s.namespace and n.stream = s.stream
where s.namespace = :namespace and s.stream > :after and not s.deleted
    and (:category::text = '' or s.category = :category)
order by s.stream limit :count;

-- name: places-forwards(namespace, stream, version, first, last, count)
-- Places of events: what is needed to choose a page of them.
select position, version, type, octet_length(data) + octet_length(metadata) as size
from events
where namespace = :namespace and stream = :stream and version >= :version
    and position between :first and :last
order by version limit :count;

-- name: places-backwards(namespace, stream, version, first, last, count)
select position, version, type, octet_length(data) + octet_length(metadata) as size
from events
where namespace = :namespace and stream = :stream and version <= :version
    and position between :first and :last
order by version desc limit :count;

-- name: places-of-all(namespace, after, count)
select position, version, type, octet_length(data) + octet_length(metadata) as size
from events
where namespace = :namespace and position > :after
order by position limit :count;

-- name: places-of-category(namespace, category, after, count)
select position, version, type, octet_length(data) + octet_length(metadata) as size
from events
where namespace = :namespace and category = :category and position > :after
order by position limit :count;

-- name: places-of-stream(namespace, stream, after, first, last, count)
select position, version, type, octet_length(data) + octet_length(metadata) as size
from events
where namespace = :namespace and stream = :stream and position > :after
    and position between :first and :last
order by version limit :count;

-- name: events-at(namespace, positions)
-- opens data at data of {stream}@{version}
-- opens metadata at metadata of {stream}@{version}
select * from events where namespace = :namespace and position = any(:positions::bigint[])
order by position;

-- name: snapshot-of(namespace, stream)^
-- opens state at snapshot of {stream}@{version}
select version, state, at from snapshots where namespace = :namespace and stream = :stream;

-- name: put-snapshot(namespace, stream, version, state, at)$
-- seals state of namespace at snapshot of {stream}@{version}
insert into snapshots (namespace, stream, version, state, at)
values (:namespace, :stream, :version, :state, :at)
on conflict (namespace, stream) do update set
    version = excluded.version, state = excluded.state, at = excluded.at
where snapshots.version < excluded.version
returning true;

-- name: delete-events(namespace, stream, before, first, last)!
delete from events
where namespace = :namespace and stream = :stream and version < :before
    and position between :first and :last;

-- name: delete-snapshot(namespace, stream)!
delete from snapshots where namespace = :namespace and stream = :stream;

-- name: bury-stream(namespace, stream, at)!
update streams set deleted = true, changed_at = :at, first_version = version + 1,
    max_events = 0, max_age_ms = 0
where namespace = :namespace and stream = :stream;

-- name: set-retention(namespace, stream, max_events, max_age_ms)!
update streams set max_events = :max_events, max_age_ms = :max_age_ms
where namespace = :namespace and stream = :stream;

-- name: bounded-streams()
select namespace, stream from streams where max_events > 0 or max_age_ms > 0;

-- name: first-kept(namespace, stream, since, first, last)$
-- Version of the first event that is young enough.
select min(version) from events
where namespace = :namespace and stream = :stream and at >= :since
    and position between :first and :last;

-- name: set-first-version(namespace, stream, version)!
update streams set first_version = :version where namespace = :namespace and stream = :stream;

-- name: note-operation(namespace, target, after, call)!
-- An audited operation; nothing without a call.
insert into audit_outbox (entries)
select json_build_array(json_build_object(
    'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    'actor', call ->> 'actor',
    'method', call ->> 'method',
    'namespace', :namespace::text,
    'target', :target::text,
    'before', null,
    'after', :after::json,
    'address', call ->> 'address'
))
from (select nullif(:call, '')::jsonb as call) as stated
where call is not null;
