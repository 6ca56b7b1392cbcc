-- Of what a trigger has fired for: what started nothing, and what an execution answered that was
-- there before.
alter table triggers
    add column refused bigint not null default 0,
    add column joined  bigint not null default 0;
