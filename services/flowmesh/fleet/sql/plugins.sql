-- name: pinned-plugins(namespace)
select plugin from plugins where namespace = :namespace and pinned;

-- name: put-plugin(namespace, plugin, version, call)!
insert into plugins (namespace, plugin, version) values (:namespace, :plugin, :version)
on conflict (namespace, plugin) do update
set version = :version, removing_at = null, changed_at = now()
returning set_config('flowmesh.call', :call, true);

-- name: pin-plugin(namespace, plugin, pinned, call)!
update plugins set pinned = :pinned, changed_at = now()
where namespace = :namespace and plugin = :plugin
returning set_config('flowmesh.call', :call, true);

-- name: begin-removal(namespace, plugin, version, call)$
-- Null if another call removes it. One that was killed has no more to say after a minute.
insert into plugins as p (namespace, plugin, version, removing_at)
values (:namespace, :plugin, :version, now())
on conflict (namespace, plugin) do update set removing_at = now()
where p.removing_at is null or p.removing_at < now() - interval '1 minute'
returning set_config('flowmesh.call', :call, true) is not null;

-- name: end-removal(namespace, plugin, call)!
update plugins set removing_at = null where namespace = :namespace and plugin = :plugin
returning set_config('flowmesh.call', :call, true);

-- name: is-being-removed(namespace, plugin)$
select exists (
    select from plugins
    where namespace = :namespace and plugin = :plugin and removing_at is not null
);

-- name: remove-plugin(namespace, plugin, call)!
delete from plugins where namespace = :namespace and plugin = :plugin
returning set_config('flowmesh.call', :call, true);
