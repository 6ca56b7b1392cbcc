-- Which version of a workflow the triggers below are of. A deleted one keeps its row, so that what
-- is heard late of an earlier version changes nothing.
create table trigger_sources (
    namespace text collate "C" not null,
    workflow  text collate "C" not null,
    version   bigint           not null,
    live      boolean          not null,
    primary key (namespace, workflow)
);

-- `body` is a flowmesh.api.definition.v1.Trigger. Times are microseconds since the epoch by the
-- clock of the database. `next_us` is when a schedule fires next.
create table triggers (
    namespace      text collate "C" not null,
    workflow       text collate "C" not null,
    id             text collate "C" not null,
    kind           text             not null check (kind in ('cron', 'event', 'webhook')),
    version        bigint           not null,
    body           bytea            not null,
    hook           text collate "C" not null default '',
    paused         boolean          not null default false,
    next_us        bigint,
    last_us        bigint           not null default 0,
    last_execution text             not null default '',
    last_error     text             not null default '',
    fired          bigint           not null default 0,
    missed         bigint           not null default 0,
    primary key (namespace, workflow, id)
);

create index triggers_next on triggers (next_us) where next_us is not null and not paused;
create index triggers_hook on triggers (namespace, hook) where hook <> '';
create index triggers_event on triggers (namespace) where kind = 'event';

-- What has fired and is not started yet. The id is the request id of the start, made of the trigger
-- and of what it fired for, so a start that is repeated is the same start. A claim moves
-- next_attempt_at behind its lease.
create table firings (
    id              text             primary key,
    namespace       text collate "C" not null,
    workflow        text collate "C" not null,
    trigger         text collate "C" not null,
    cause           text             not null,
    at_us           bigint           not null,
    input           bytea            not null,
    signal          text             not null default '',
    payload         bytea            not null default '',
    attempts        int              not null default 0,
    next_attempt_at timestamptz      not null default now()
);

create index firings_due on firings (next_attempt_at);

-- Events that clients published: for a while, to know them again and to fire for them afterwards.
create table published (
    namespace text collate "C" not null,
    source    text             not null,
    id        text             not null,
    type      text             not null,
    at_us     bigint           not null,
    event     bytea            not null,
    primary key (namespace, source, id)
);

create index published_at on published (namespace, at_us, source, id);
create index published_old on published (at_us);

-- Calls of webhooks by what names them, with their outcome: a call that comes again has that one.
create table calls (
    namespace    text collate "C" not null,
    hook         text             not null,
    name         text             not null,
    execution_id text             not null,
    node         text             not null,
    at           timestamptz      not null default now(),
    primary key (namespace, hook, name)
);

create index calls_old on calls (at);

-- What the tokens of nodes that wait for a call are signed with.
create table hook_keys (
    number int   primary key check (number = 1),
    key    bytea not null
);

insert into hook_keys (number, key)
values (1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
