-- Exchanges, queues and bindings of namespaces. Messages are in JetStream.
create table namespaces (
    namespace text primary key,
    -- Counts changes, so that an instance detects that its copy is outdated.
    version bigint not null
);

create table exchanges (
    namespace text not null,
    exchange text not null,
    body bytea not null,
    primary key (namespace, exchange)
);

create table queues (
    namespace text not null,
    queue text not null,
    -- Identity of this queue: a queue declared again after its deletion is another one.
    id text not null unique,
    body bytea not null,
    primary key (namespace, queue)
);

create table bindings (
    namespace text not null,
    source text not null,
    queue text not null,
    exchange text not null,
    -- Digest of the key and the arguments.
    digest bytea not null,
    body bytea not null,
    primary key (namespace, source, queue, exchange, digest),
    check ((queue = '') <> (exchange = ''))
);
create index on bindings (namespace, queue);

-- Signs the receipts of deliveries.
create table receipt_keys (
    key bytea not null
);
insert into receipt_keys (key)
values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
