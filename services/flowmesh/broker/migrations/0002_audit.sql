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

create trigger audit after insert or delete on exchanges
    for each row execute function note_change('exchange', '', 'body');

create trigger audit after insert or delete on queues
    for each row execute function note_change('queue', 'id', 'body');

create trigger audit after insert or delete on bindings
    for each row execute function note_change('source,queue,exchange', 'digest', 'body');
