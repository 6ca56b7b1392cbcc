-- Groups of consumers, and what each of them has in flight.
create table groups (
    namespace text not null,
    event_group text collate "C" not null,
    filter bytea not null,
    checkpoint bigint not null,
    lease_ms bigint not null,
    max_attempts int not null,
    retry_delay_ms bigint not null,
    primary key (namespace, event_group)
) with (fillfactor = 20);

-- Events below the checkpoint that are not acknowledged.
create table group_deliveries (
    namespace text not null,
    event_group text collate "C" not null,
    position bigint not null,
    attempt int not null,
    -- Instant of the next delivery in microseconds; null is parked.
    due_at bigint,
    error text not null default '',
    primary key (namespace, event_group, position)
) with (fillfactor = 60);
create index group_deliveries_due on group_deliveries (namespace, event_group, due_at);

-- Projections, and their states by key.
create table projections (
    namespace text not null,
    projection text collate "C" not null,
    filter bytea not null,
    generation bigint not null default 1,
    checkpoint bigint not null default 0,
    -- The shadow of a rebuild; 0 without one.
    shadow_generation bigint not null default 0,
    shadow_checkpoint bigint not null default 0,
    -- Number of the last generation.
    generations bigint not null default 1,
    primary key (namespace, projection)
) with (fillfactor = 20);

create table projection_states (
    namespace text not null,
    projection text collate "C" not null,
    generation bigint not null,
    key text collate "C" not null,
    state bytea not null,
    primary key (namespace, projection, generation, key)
) with (fillfactor = 80);

-- Changes on their way to the audit log, committed with the changes themselves.
create table audit_outbox (
    id bigint generated always as identity primary key,
    key uuid not null default gen_random_uuid(),
    -- A list of changes.
    entries json not null
);
