-- name: count_running(namespace, most)$
-- Pending, running, paused and compensating executions.
select count(*) from (
    select from executions
    where namespace = :namespace and status <> 4 and status in (1, 2, 3, 8)
    limit :most
) as counted;

-- name: count_started(namespace, first_id, most)$
select count(*) from (
    select from executions where namespace = :namespace and id >= :first_id limit :most
) as counted;
