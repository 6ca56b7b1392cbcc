-- Applications of namespaces.
create table apps (
    namespace text not null,
    app text collate "C" not null,
    -- Release that is to serve. It takes over if it is pending; refused ones stay without effect.
    wanted int not null default 0,
    -- Release that serves, or is to serve again; 0 before the first.
    release int not null default 0,
    newest int not null default 0,
    stopped boolean not null default false,
    -- The host removes its process, its files and then the row.
    deleted boolean not null default false,
    -- Numbers of the contract.
    state smallint not null default 1,
    problem text not null default '',
    -- Servers with their bound addresses.
    addresses json not null default '[]',
    pid int not null default 0,
    restarts int not null default 0,
    created_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    primary key (namespace, app)
);

create table releases (
    namespace text not null,
    app text collate "C" not null,
    release int not null,
    state smallint not null,
    -- SHA-256 of document, files and environment.
    digest text not null,
    problem text not null default '',
    -- Findings of a refusal: place, message, code.
    findings json not null default '[]',
    warnings text[] not null default '{}',
    -- Document and files as a message of the contract.
    content bytea not null,
    -- Sealed JSON.
    environment bytea not null,
    files text[] not null,
    variables text[] not null,
    size_bytes bigint not null,
    -- Order of taking over; 0 for one that never served.
    served int not null default 0,
    created_by text not null,
    created_at timestamptz not null default now(),
    primary key (namespace, app, release),
    foreign key (namespace, app) references apps on delete cascade
);
alter table releases alter column content set storage external;

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

create trigger audit after update on apps for each row execute function note_change(
    'app', 'release,newest,state,problem,addresses,pid,restarts,created_at,changed_at'
);
create trigger audit after insert on releases for each row execute function note_change(
    'app,release', 'content,environment,findings,warnings,problem,state,served,created_at'
);
