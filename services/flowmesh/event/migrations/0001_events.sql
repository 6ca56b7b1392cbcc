-- Up to which position the commits of each incarnation were taken in.
create table positions (
    incarnation bigint primary key,
    position bigint not null check (position >= 0),
    updated_at timestamptz not null default now()
);

-- Where to go on reading the stream. Only a hint: positions decide. `made_us` names the stream,
-- because one made anew counts from 1 again.
create table stream_places (
    stream text primary key,
    made_us bigint not null,
    sequence bigint not null check (sequence >= 0)
);

-- Callbacks to deliver and delivered. A claim moves next_attempt_at behind its lease, so what a
-- dead process had claimed is due again by itself.
create table deliveries (
    ordinal bigint generated always as identity primary key,
    id text not null unique,
    namespace text not null,
    execution_id text not null,
    workflow_id text not null,
    kind text not null check (kind in ('onComplete', 'onFailure', 'onStep')),
    sequence bigint not null check (sequence > 0),
    url text not null,
    host text not null,
    secret text not null,
    event bytea not null,
    happened_us bigint not null,
    status text not null default 'pending' check (status in ('pending', 'delivered', 'dead')),
    attempts int not null default 0 check (attempts >= 0),
    next_attempt_at timestamptz not null default now(),
    last_error text not null default '',
    created_at timestamptz not null default now(),
    unique (namespace, execution_id, kind, sequence)
);

create index deliveries_due on deliveries (next_attempt_at) where status = 'pending';
create index deliveries_of_namespace on deliveries (namespace, ordinal desc);
create index deliveries_ended on deliveries (created_at) where status <> 'pending';
