-- name: discard_dead_letters(namespace, ids, call)
-- Marks failed executions, so that their dead letters are not listed.
with marked as (
    insert into search_values (execution_id, name, namespace, text)
    select e.id, 'dead_letter', e.namespace, 'discarded' from executions e
    where e.namespace = :namespace and e.id = any (:ids::text[]) and e.status = 5
    on conflict (execution_id, name) do nothing
    returning execution_id
), noted as (
    insert into audit_outbox (entries)
    select json_build_array(json_build_object(
        'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
        'actor', call ->> 'actor',
        'method', call ->> 'method',
        'namespace', :namespace::text,
        'target', array_to_string(:ids::text[], ' '),
        'after', json_build_object('dead_letters', 'discarded'),
        'address', call ->> 'address'
    ))
    from (select nullif(:call, '')::jsonb as call) as stated
    where call is not null
)
select execution_id from marked;

-- name: restore_dead_letters(namespace, ids, call)
with marked as (
    delete from search_values
    where namespace = :namespace and execution_id = any (:ids::text[]) and name = 'dead_letter'
    returning execution_id
), noted as (
    insert into audit_outbox (entries)
    select json_build_array(json_build_object(
        'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
        'actor', call ->> 'actor',
        'method', call ->> 'method',
        'namespace', :namespace::text,
        'target', array_to_string(:ids::text[], ' '),
        'after', json_build_object('dead_letters', 'restored'),
        'address', call ->> 'address'
    ))
    from (select nullif(:call, '')::jsonb as call) as stated
    where call is not null
)
select execution_id from marked;
