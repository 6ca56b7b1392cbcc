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
    company text;
begin
    foreach column_name in array string_to_array(tg_argv[1], ',') loop
        before := before - column_name;
        after := after - column_name;
    end loop;
    foreach column_name in array string_to_array(tg_argv[2], ',') loop
        if before ? column_name then
            before := jsonb_set(before, array[column_name], to_jsonb(encode(
                sha256(convert_to(before ->> column_name, 'utf8')), 'hex')));
        end if;
        if after ? column_name then
            after := jsonb_set(after, array[column_name], to_jsonb(encode(
                sha256(convert_to(after ->> column_name, 'utf8')), 'hex')));
        end if;
    end loop;
    if before is not distinct from after then
        return null;
    end if;
    changed := coalesce(after, before);
    company := case
        when tg_table_name = 'companies' then changed ->> 'id'
        when changed ? 'company' then changed ->> 'company'
        when changed ? 'project' then
            (select p.company from projects p where p.id = changed ->> 'project')
        when changed ? 'namespace' then
            (select p.company from projects p where p.namespace = changed ->> 'namespace')
        when tg_table_name = 'api_key_secrets' then (
            select p.company from api_keys k join projects p on p.id = k.project
            where k.id = changed ->> 'key'
        )
        when changed ->> 'level' = '1' then changed ->> 'level_id'
        when changed ->> 'level' = '2' then
            (select o.company from organizations o where o.id = changed ->> 'level_id')
        when changed ->> 'level' = '3' then
            (select p.company from projects p where p.id = changed ->> 'level_id')
    end;
    insert into audit_outbox (entries) values (json_build_array(json_build_object(
        'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
        'actor', coalesce(call ->> 'actor', nullif(changed ->> 'actor', ''), 'system'),
        'method', coalesce(call ->> 'method', tg_table_name || ' ' || lower(tg_op)),
        'company', coalesce(company, ''),
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

create trigger audit after insert or update or delete on companies
    for each row execute function note_change('id', 'request_id,created_at', '');
create trigger audit after insert or update or delete on organizations
    for each row execute function note_change('id', 'request_id,created_at', '');
create trigger audit after insert or update or delete on projects
    for each row execute function note_change('id', 'request_id,created_at', '');
create trigger audit after insert or update or delete on users
    for each row execute function note_change('id', 'created_at,last_login_at', 'password_hash');
create trigger audit after insert or update or delete on grants
    for each row execute function note_change('user_id,level_id', 'granted_at', '');
-- Expired sessions are deleted without an entry.
create trigger audit after insert or update of revoked_at on sessions
    for each row execute function note_change('user_id,id', 'created_at', '');
create trigger audit after insert or update or delete on api_keys
    for each row execute function note_change('id', 'created_at,last_used_at', '');
create trigger audit after insert or update on api_key_secrets
    for each row execute function note_change('key', '', 'digest');
create trigger audit after insert or update or delete on invitations
    for each row execute function note_change('id', 'created_at', 'digest');
create trigger audit after insert or update or delete on secrets
    for each row execute function note_change('namespace,name', 'created_at', 'sealed');
create trigger audit after insert or update or delete on quotas
    for each row execute function note_change('project', 'changed_at', '');
create trigger audit after insert or update or delete on file_versions
    for each row execute function note_change('project,path', 'created_at', '');

-- One chain per company; the company is empty for the chain of the installation.
create table audit_entries (
    company text collate "C" not null,
    sequence bigint not null check (sequence > 0),
    at_us bigint not null,
    actor text not null,
    method text not null,
    scope text not null,
    target text not null,
    outcome text not null,
    before text not null,
    after text not null,
    details text not null,
    address text not null,
    -- The name of the change in the service that made it.
    source text not null,
    -- SHA-256 of the entry and the hash of the one before it.
    hash bytea not null,
    primary key (company, sequence)
);
create unique index audit_entries_source on audit_entries (source);

-- The end of each chain, signed with the key of the installation.
create table audit_heads (
    company text collate "C" primary key,
    sequence bigint not null,
    hash bytea not null,
    signed_at_us bigint not null,
    signature bytea not null
);
