-- Templates of agents.
create table specs (
    namespace text not null,
    spec text collate "C" not null,
    version int not null,
    -- The highest version ever stored.
    newest int not null,
    -- A message of the contract.
    content bytea not null,
    -- The last version that all agents reached, with its content.
    stable_version int not null default 0,
    stable bytea not null default '',
    replicas int not null,
    -- The count that the replicas or the policy decide, within the quota.
    wanted int not null default 0,
    problem text not null default '',
    -- The loop drains the agents and then deletes the row.
    deleted boolean not null default false,
    -- The principal that stored it, in whose name its agents get credentials; empty without one.
    maker text not null default '',
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    primary key (namespace, spec)
);

create table policies (
    namespace text not null,
    policy text collate "C" not null,
    spec text collate "C" not null,
    content bytea not null,
    -- State of the decisions.
    memory json not null default '{}',
    primary key (namespace, policy),
    unique (namespace, spec),
    foreign key (namespace, spec) references specs on delete cascade
);

-- Each life of an agent. A row is committed before its process is started.
create table agents (
    id text primary key,
    namespace text not null,
    spec text collate "C" not null,
    version int not null,
    -- Numbers of the contract.
    state smallint not null default 1,
    reason text not null default '',
    last_words text not null default '',
    exit_code int not null default 0,
    pid int not null default 0,
    node text not null default '',
    cpu real not null default 0,
    memory_bytes bigint not null default 0,
    slots int not null default 0,
    busy int not null default 0,
    isolation smallint not null default 0,
    enforcement json not null default '{}',
    created_at timestamptz not null default now(),
    ready_at timestamptz,
    -- Last call of an agent that attends.
    beat_at timestamptz,
    drain_at timestamptz,
    ended_at timestamptz
);
create index agents_by_spec on agents (namespace, spec, created_at);
create index agents_alive on agents (state) where state < 6;

create table decisions (
    id bigint generated always as identity primary key,
    namespace text not null,
    spec text collate "C" not null,
    at timestamptz not null default now(),
    before int not null,
    wish int not null,
    count int not null,
    reason text not null,
    held text[] not null
);
create index decisions_by_spec on decisions (namespace, spec, id);

-- 0 is unlimited.
create table quotas (
    namespace text primary key,
    agents int not null default 0,
    cpu real not null default 0,
    memory_bytes bigint not null default 0,
    starts_per_minute int not null default 0
);

-- The instance that decides. Each of its writes proves its epoch.
create table leader (
    single boolean primary key default true check (single),
    epoch bigint not null,
    holder text not null,
    until timestamptz not null
);
insert into leader (epoch, holder, until) values (0, '', 'epoch');

-- Changes on their way to the audit log, committed with the changes themselves.
create table audit_outbox (
    id bigint generated always as identity primary key,
    key uuid not null default gen_random_uuid(),
    -- A list of changes.
    entries json not null
);

-- Writes a changed row into the outbox, with the call that the statement stated in the setting
-- `flowmesh.call`. Arguments: columns that name the object; columns to leave out; columns of which
-- only a digest is kept.
create function note_change() returns trigger language plpgsql set search_path from current as $$
declare
    call jsonb := coalesce(nullif(current_setting('flowmesh.call', true), '')::jsonb, '{}');
    before jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
    after jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
    column_name text;
    changed jsonb;
begin
    foreach column_name in array string_to_array(tg_argv[1], ',') loop
        before := before - column_name;
        after := after - column_name;
    end loop;
    if before is not distinct from after then
        return null;
    end if;
    changed := coalesce(after, before);
    insert into audit_outbox (entries) values (json_build_array(json_build_object(
        'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
        'actor', coalesce(call ->> 'actor', nullif(changed ->> 'actor', ''), 'system'),
        'method', coalesce(call ->> 'method', tg_table_name || ' ' || lower(tg_op)),
        'namespace', changed ->> 'namespace',
        'target', (
            select string_agg(nullif(changed ->> part, ''), '/' order by place)
            from unnest(string_to_array(tg_argv[0], ',')) with ordinality as parts (part, place)
        ),
        'before', before,
        'after', after,
        'address', call ->> 'address'
    )));
    return null;
end $$;

create trigger audit after insert or update or delete on specs for each row
execute function note_change(
    'spec', 'content,stable,stable_version,wanted,problem,created_at,changed_at'
);
create trigger audit after insert or update or delete on policies for each row
execute function note_change('policy', 'content,memory');
create trigger audit after update on agents for each row when (new.state = 5)
execute function note_change(
    'id',
    'cpu,memory_bytes,busy,slots,beat_at,ready_at,drain_at,ended_at,last_words,enforcement'
);
create trigger audit after insert or update on quotas for each row
execute function note_change('namespace', '');
