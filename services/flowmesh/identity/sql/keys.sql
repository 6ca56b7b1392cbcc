-- name: insert-key(id, project, name, role, queues, task_types, networks, permissions, created_by, expires_at, call)^
insert into api_keys (
    id, project, name, role, queues, task_types, networks, permissions, created_by, expires_at,
    maker
)
values (:id, :project, :name, :role, :queues, :task_types, :networks, :permissions, :created_by,
    :expires_at, coalesce((select maker from api_keys where id = :created_by), :created_by))
returning *, set_config('flowmesh.call', :call, true);

-- name: issue-key(id, project, name, role, queues, task_types, permissions, created_by, app, call)^
-- The key of an application.
insert into api_keys (
    id, project, name, role, queues, task_types, networks, permissions, created_by, maker, app
)
values (:id, :project, :name, :role, :queues, :task_types, '{}', :permissions, :created_by,
    coalesce((select maker from api_keys where id = :created_by), :created_by), :app)
on conflict (project, app) do update set role = excluded.role, queues = excluded.queues,
    task_types = excluded.task_types, permissions = excluded.permissions,
    created_by = excluded.created_by, maker = excluded.maker
returning *, set_config('flowmesh.call', :call, true);

-- name: delete-app-key(namespace, app, call)$
delete from api_keys k using projects p
where p.id = k.project and p.namespace = :namespace and k.app = :app
returning k.id, set_config('flowmesh.call', :call, true);

-- name: count-keys(project)$
select count(*) from api_keys where project = :project and app is null;

-- name: lock-key-quota(project)$
select api_keys from quotas where project = :project for update;

-- name: insert-secret(digest, key, call)!
insert into api_key_secrets (digest, key) values (:digest, :key)
returning set_config('flowmesh.call', :call, true);

-- name: end-secrets(key, seconds, call)!
-- The secrets of a key end after a while; one that ends sooner keeps its end.
update api_key_secrets
set valid_until = least(valid_until, now() + make_interval(secs => :seconds))
where key = :key
returning set_config('flowmesh.call', :call, true);

-- name: key-of-secret(id, digest)^
select k.*, p.namespace, least(k.expires_at, s.valid_until) as ends_at from api_keys k
join api_key_secrets s on s.key = k.id and s.digest = :digest
join projects p on p.id = k.project
join organizations o on o.id = p.organization
join companies c on c.id = p.company
where k.id = :id
    and (s.valid_until is null or s.valid_until > now())
    and (k.expires_at is null or k.expires_at > now())
    and p.deleted_at is null and o.deleted_at is null and c.deleted_at is null;

-- name: live-key(id)^
select k.*, p.namespace, k.expires_at as ends_at from api_keys k
join projects p on p.id = k.project
join organizations o on o.id = p.organization
join companies c on c.id = p.company
where k.id = :id
    and (k.expires_at is null or k.expires_at > now())
    and p.deleted_at is null and o.deleted_at is null and c.deleted_at is null;

-- name: key(id)^
select * from api_keys where id = :id;

-- name: keys(project, before_us, count)
select * from api_keys
where project = :project
    and (:before_us::bigint is null
        or created_at < timestamptz 'epoch' + :before_us * interval '1 microsecond')
order by created_at desc
limit :count;

-- name: update-key(id, name, networks, expires_at, call)^
update api_keys set name = :name, networks = :networks, expires_at = :expires_at
where id = :id
returning *, set_config('flowmesh.call', :call, true);

-- name: note-use(id)!
-- At most once a minute.
update api_keys set last_used_at = now()
where id = :id and (last_used_at is null or last_used_at < now() - interval '1 minute');

-- name: delete-key(id, call)$
delete from api_keys where id = :id returning true, set_config('flowmesh.call', :call, true);
