-- name: oldest-changes(count)
select id, key::text as key, entries::text as entries from audit_outbox order by id limit :count;

-- name: delete-changes(ids)!
delete from audit_outbox where id = any(:ids::bigint[]);
