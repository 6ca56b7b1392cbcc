-- The service level objective of a workflow, with its last computed state as a message.
create table objectives (
    namespace text not null,
    workflow text not null,
    body bytea not null,
    burning boolean not null default false,
    claimed_us bigint not null default 0,
    primary key (namespace, workflow)
);
create index objectives_claimed on objectives (claimed_us);
