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

-- name: count_active(most)$
-- The same of all namespaces: jumps from one to the next, and reads a range of each.
with recursive names as (
    (select namespace from executions order by namespace limit 1)
    union all
    select (
        select e.namespace from executions e
        where e.namespace > n.namespace order by e.namespace limit 1
    )
    from names n where n.namespace is not null
)
select count(*) from (
    select from names n
    cross join unnest(array[1, 2, 3, 8]) as s (status)
    join executions e on e.namespace = n.namespace and e.status = s.status and e.status <> 4
    limit :most
) as counted;
