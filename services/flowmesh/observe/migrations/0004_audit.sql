-- Changes on their way to the audit log, committed with the changes themselves.
create table audit_outbox (
    id bigint generated always as identity primary key,
    key uuid not null default gen_random_uuid(),
    -- A list of changes.
    entries json not null
);

-- Writes a changed row into the outbox, by its body, with the call that the statement stated in the
-- setting `flowmesh.call`. Argument: the column that names the object.
create function note_change() returns trigger language plpgsql set search_path from current as $$
declare
    call jsonb := coalesce(nullif(current_setting('flowmesh.call', true), '')::jsonb, '{}');
    changed jsonb := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
    insert into audit_outbox (entries) values (json_build_array(json_build_object(
        'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
        'actor', coalesce(call ->> 'actor', 'system'),
        'method', coalesce(call ->> 'method', tg_table_name || ' ' || lower(tg_op)),
        'namespace', changed ->> 'namespace',
        'target', changed ->> tg_argv[0],
        'before', case when tg_op <> 'INSERT' then
            json_build_object('body', encode(sha256(old.body), 'hex')) end,
        'after', case when tg_op <> 'DELETE' then
            json_build_object('body', encode(sha256(new.body), 'hex')) end,
        'address', call ->> 'address'
    )));
    return null;
end $$;

create trigger audit after insert or delete on objectives
    for each row execute function note_change('workflow');

-- A computed state is no change; only a set objective is not claimed.
create trigger audit_update after update on objectives
    for each row when (new.claimed_us = 0) execute function note_change('workflow');
