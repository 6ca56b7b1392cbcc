-- Durable subscriptions. `body` is a flowmesh.api.event.v1.Subscription. Until `previous_until_us`
-- notifications are signed by both secrets.
create table subscriptions (
    namespace text collate "C" not null,
    name text collate "C" not null,
    id text not null unique,
    body bytea not null,
    paused boolean not null default false,
    secret text not null default '',
    previous_secret text not null default '',
    previous_until_us bigint not null default 0,
    concurrency int not null check (concurrency > 0),
    breaker_failures int not null check (breaker_failures > 0),
    created_us bigint not null default (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    primary key (namespace, name)
);

-- The progress of subscriptions, which no caller changes. One process at a time, `feeder`, reads
-- the lifecycle events after `cursor`. Published events from `backfill_us` to the creation are
-- still to be stored; null if all are.
create table subscription_states (
    id text primary key references subscriptions (id) on delete cascade,
    cursor text not null,
    from_us bigint not null default 0,
    backfill_us bigint,
    feeder text not null default '',
    feeder_until timestamptz not null default '-infinity',
    failures int not null default 0,
    failing_since timestamptz,
    open_until timestamptz not null default 'epoch',
    disabled text not null default '',
    alerted_until_us bigint not null default 0,
    raised boolean not null default false,
    delivered bigint not null default 0,
    dead bigint not null default 0,
    dropped bigint not null default 0,
    last_error text not null default ''
);

-- One event for one subscription; the id is made of both. A claim moves next_attempt_at behind its
-- lease.
create table notifications (
    ordinal bigint generated always as identity primary key,
    id text not null unique,
    subscription text not null references subscriptions (id) on delete cascade,
    event_id text not null,
    type text not null,
    event bytea not null,
    status text not null check (status in ('pending', 'delivered', 'dead', 'counted')),
    attempts int not null default 0,
    http_status int not null default 0,
    last_error text not null default '',
    created_at timestamptz not null default now(),
    last_attempt_at timestamptz,
    next_attempt_at timestamptz not null default now()
);

create index notifications_due on notifications (subscription, next_attempt_at, ordinal)
    where status = 'pending';
create index notifications_of on notifications (subscription, ordinal desc);
create index notifications_counted on notifications (subscription, created_at)
    where status = 'counted';
create index notifications_ended on notifications (created_at) where status <> 'pending';

create trigger audit after insert or update or delete on subscriptions
    for each row execute function note_change(
        'name', 'concurrency,breaker_failures,created_us', 'body,secret,previous_secret'
    );
