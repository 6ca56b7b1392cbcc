-- Streams of events of users, by namespace.
create table namespaces (
    namespace text primary key,
    -- Position of the last event. Appends of a namespace lock this row, so that positions become
    -- visible in their order and without gaps.
    head bigint not null default 0
) with (fillfactor = 20);

create table streams (
    namespace text not null,
    stream text collate "C" not null,
    category text not null,
    version bigint not null,
    first_version bigint not null default 1,
    -- Bounds of the positions of its events; reads skip the partitions outside.
    first_position bigint not null,
    last_position bigint not null,
    created_at bigint not null,
    changed_at bigint not null,
    max_events bigint not null default 0,
    max_age_ms bigint not null default 0,
    deleted boolean not null default false,
    primary key (namespace, stream)
) with (fillfactor = 60);
create index streams_bounded on streams (namespace) where max_events > 0 or max_age_ms > 0;

-- Partitioned by ranges of a million positions.
create table events (
    namespace text not null,
    position bigint not null,
    stream text collate "C" not null,
    version bigint not null,
    category text not null,
    id text not null,
    type text not null,
    data bytea not null,
    metadata bytea not null,
    at bigint not null,
    primary key (namespace, position)
) partition by range (position);
create index events_of_stream on events (namespace, stream, version);
create index events_by_id on events (namespace, stream, id);
create index events_of_category on events (namespace, category, position);
create table events_0 partition of events for values from (0) to (1000000);

create table snapshots (
    namespace text not null,
    stream text collate "C" not null,
    version bigint not null,
    state bytea not null,
    at bigint not null,
    primary key (namespace, stream)
);
