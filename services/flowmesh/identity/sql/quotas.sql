-- name: quota(project)^
select * from quotas where project = :project;

-- name: quota-of-namespace(namespace)^
select q.* from quotas q join projects p on p.id = q.project where p.namespace = :namespace;

-- name: quotas(after, count)
-- By namespace, without deleted projects: quotas, and plans that are used up.
select p.namespace, u.plan, u.meter, u.most, u.used, u.resets_at,
    coalesce(q.starts_per_second, 0) as starts_per_second,
    coalesce(q.running_executions, 0) as running_executions,
    coalesce(q.executions_per_day, 0) as executions_per_day,
    coalesce(q.definitions, 0) as definitions,
    coalesce(q.file_bytes, 0) as file_bytes,
    coalesce(q.api_keys, 0) as api_keys
from projects p
left join quotas q on q.project = p.id
left join plan_uses u on u.company = p.company and u.resets_at > now()
where p.namespace > :after and p.deleted_at is null
    and (q.project is not null or u.company is not null)
order by p.namespace
limit :count;

-- name: set-quota(project, starts_per_second, running_executions, executions_per_day, definitions, file_bytes, api_keys, changed_by, call)!
insert into quotas (project, starts_per_second, running_executions, executions_per_day,
    definitions, file_bytes, api_keys, changed_by)
values (:project, :starts_per_second, :running_executions, :executions_per_day, :definitions,
    :file_bytes, :api_keys, :changed_by)
on conflict (project) do update set
    starts_per_second = excluded.starts_per_second,
    running_executions = excluded.running_executions,
    executions_per_day = excluded.executions_per_day,
    definitions = excluded.definitions,
    file_bytes = excluded.file_bytes,
    api_keys = excluded.api_keys,
    changed_by = excluded.changed_by,
    changed_at = now()
returning set_config('flowmesh.call', :call, true);

-- name: lock-quotas(project)!
-- Serializes changes of the quota and of its ceiling.
select from projects where id = :project for no key update;

-- name: quota-ceiling(project)^
select * from quota_ceilings where project = :project;

-- name: set-quota-ceiling(project)!
-- The quota as it was set last.
insert into quota_ceilings (project, starts_per_second, running_executions, executions_per_day,
    definitions, file_bytes, api_keys)
select project, starts_per_second, running_executions, executions_per_day, definitions,
    file_bytes, api_keys
from quotas
where project = :project
on conflict (project) do update set
    starts_per_second = excluded.starts_per_second,
    running_executions = excluded.running_executions,
    executions_per_day = excluded.executions_per_day,
    definitions = excluded.definitions,
    file_bytes = excluded.file_bytes,
    api_keys = excluded.api_keys;

-- name: set-usage(project, hour, started, completed, failed)!
-- Counts only grow: executions of the hour may have been deleted since.
insert into usage_hours as u (project, hour, started, completed, failed)
values (:project, :hour, :started, :completed, :failed)
on conflict (project, hour) do update set
    started = greatest(u.started, excluded.started),
    completed = greatest(u.completed, excluded.completed),
    failed = greatest(u.failed, excluded.failed);

-- name: usage(project, since)
select * from usage_hours where project = :project and hour >= :since order by hour desc;

-- name: delete-usage(days)!
delete from usage_hours where hour < now() - make_interval(days => :days);

-- name: projects-by-id(after, count)
select p.* from projects p
join organizations o on o.id = p.organization
join companies c on c.id = p.company
where p.id > :after and p.deleted_at is null and o.deleted_at is null and c.deleted_at is null
order by p.id
limit :count;
