-- A changed policy was no entry of the audit log: its content was left out of it. Of contents the
-- log has the digest, as in the other services.
create or replace function note_change() returns trigger language plpgsql
set search_path from current as $$
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
    foreach column_name in array string_to_array(coalesce(tg_argv[2], ''), ',') loop
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

drop trigger audit on specs;
create trigger audit after insert or update or delete on specs for each row
execute function note_change(
    'spec', 'stable,stable_version,wanted,problem,created_at,changed_at', 'content'
);
drop trigger audit on policies;
create trigger audit after insert or update or delete on policies for each row
execute function note_change('policy', 'memory', 'content');
