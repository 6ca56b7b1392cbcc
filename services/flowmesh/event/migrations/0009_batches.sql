-- Messages that a committed firing of a batch contains: another batch leaves them out.
create table batched (
    -- As the request id of a start for this message alone.
    id text primary key,
    at timestamptz not null default now()
);
create index batched_old on batched (at);
