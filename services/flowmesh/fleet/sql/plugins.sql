-- name: pinned-plugins(namespace)
select plugin from plugins where namespace = :namespace and pinned;

-- name: put-plugin(namespace, plugin, version, call)!
insert into plugins (namespace, plugin, version) values (:namespace, :plugin, :version)
on conflict (namespace, plugin) do update set version = :version, changed_at = now()
returning set_config('flowmesh.call', :call, true);

-- name: pin-plugin(namespace, plugin, pinned, call)!
update plugins set pinned = :pinned, changed_at = now()
where namespace = :namespace and plugin = :plugin
returning set_config('flowmesh.call', :call, true);

-- name: remove-plugin(namespace, plugin, call)!
delete from plugins where namespace = :namespace and plugin = :plugin
returning set_config('flowmesh.call', :call, true);
