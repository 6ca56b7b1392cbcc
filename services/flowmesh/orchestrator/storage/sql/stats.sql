-- Statistics of workflows, summed over all processes.

-- name: stored_stats(namespace, workflow)
select stats from workflow_stats
where namespace = :namespace and (:workflow::text = '' or workflow_id = :workflow)
order by workflow_id
limit 1000;

-- name: lock_stats(namespaces, workflows)
-- Serializes the sums until the end of the transaction; returns the stored ones.
with locked as materialized (
    select pg_advisory_xact_lock(hashtextextended('flowmesh.workflow_stats', 0))
)
select s.namespace, s.workflow_id, s.stats
from locked
cross join unnest(:namespaces::text[], :workflows::text[]) as k (namespace, workflow_id)
join workflow_stats s using (namespace, workflow_id);

-- name: store_stats(namespaces, workflows, stats)
insert into workflow_stats (namespace, workflow_id, stats)
select * from unnest(:namespaces::text[], :workflows::text[], :stats::bytea[])
on conflict (namespace, workflow_id) do update set stats = excluded.stats, changed_at = now()
returning workflow_id;

-- name: delete_unused_stats()$
with gone as (
    delete from workflow_stats where changed_at < now() - interval '90 days' returning 1
)
select count(*) from gone;
