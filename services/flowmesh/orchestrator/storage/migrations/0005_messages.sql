-- What executions have to tell others, until those have it. Written by the sender's commit.
create table messages (
    partition int not null,
    id text collate "C" not null,
    target text not null,
    command bytea not null,
    primary key (partition, id)
);

-- Which executions wait for a signal with a key; `name` is that of the signal and the key.
create table waits (
    namespace text not null,
    name text collate "C" not null,
    execution_id text collate "C" not null,
    primary key (namespace, name, execution_id)
);

-- To whom a signal with a key went, so that it goes to the same when it is sent again.
create table keyed_signals (
    namespace text not null,
    request_id text not null,
    name text not null,
    execution_ids text[] not null,
    at timestamptz not null default now(),
    primary key (namespace, request_id)
);
create index keyed_signals_at on keyed_signals (at);
