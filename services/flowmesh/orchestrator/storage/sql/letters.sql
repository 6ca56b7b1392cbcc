-- name: discard_letters(namespace, ids)
-- Marks failed executions, so that their dead letters are not listed.
insert into search_values (execution_id, name, namespace, text)
select e.id, 'dead_letter', e.namespace, 'discarded' from executions e
where e.namespace = :namespace and e.id = any (:ids::text[]) and e.status = 5
on conflict (execution_id, name) do nothing
returning execution_id;

-- name: restore_letters(namespace, ids)
delete from search_values
where namespace = :namespace and execution_id = any (:ids::text[]) and name = 'dead_letter'
returning execution_id;

-- name: discarded_letters(ids)
select execution_id from search_values
where execution_id = any (:ids::text[]) and name = 'dead_letter';
