-- Open consumers of queues that are exclusive, deleted without consumers, or have one active
-- consumer; and those that left, until the queue is deleted.
create table consumers (
    queue_id text not null,
    group_name text not null,
    consumer text not null,
    -- The order in which consumers take over.
    number bigserial,
    -- End of the lease, which an open consumer renews.
    until timestamptz not null,
    primary key (queue_id, group_name, consumer)
);

-- Stored payloads that messages in queues refer to.
create table body_references (
    queue_id text not null,
    namespace text not null,
    digest text not null,
    -- Instant at which the newest of these messages is stored.
    noted_at timestamptz not null,
    primary key (queue_id, digest)
);

-- Encrypts bodies in an open installation.
create table body_keys (
    key bytea not null
);
insert into body_keys (key)
values (decode(
    replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
