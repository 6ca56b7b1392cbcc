-- Triggers of changes of tables of users.
alter table triggers drop constraint triggers_kind_check;
alter table triggers add constraint triggers_kind_check
    check (kind in ('cron', 'event', 'webhook', 'queue', 'change'));
create index triggers_change on triggers (namespace) where kind = 'change';

-- Replication slots in databases of users. A row outlives its trigger until the slot is dropped.
-- Changes up to the position are stored as firings: `lsn` is the commit of a transaction and
-- `number` that of a change in it. One process at a time, `owner`, reads a slot.
create table change_slots (
    slot           text primary key,
    namespace      text collate "C" not null,
    workflow       text collate "C" not null,
    trigger        text collate "C" not null,
    database       text not null,
    source         text not null,
    publication    text not null default '',
    phase          text not null default 'creating'
        check (phase in ('creating', 'reading', 'lost')),
    lsn            bigint not null default 0,
    number         bigint not null default 0,
    lag_bytes      bigint not null default 0,
    keep_bytes_max bigint not null default 0,
    problem        text not null default '',
    -- Whether a lost slot begins anew with its trigger: it has been paused since.
    renewed        boolean not null default false,
    checked_us     bigint not null default 0,
    owner          text not null default '',
    leased_until   timestamptz not null default '-infinity',
    unique (namespace, workflow, trigger, database, source, publication)
);
