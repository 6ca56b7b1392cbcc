-- Not empty while the project moves to another cell: nothing leaves its queues. Each suspension has
-- an identity of its own.
alter table namespaces add column suspension text not null default '';

-- The last message of an origin, which is a queue of another cell, that a queue here has taken.
create table imports (
    queue_id text primary key,
    origin text not null,
    sequence bigint not null
);
