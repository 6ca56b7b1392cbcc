-- name: payload-keys(namespace)
select namespace, number, sealed_key, wrapped_by, created_at from payload_keys
where namespace = :namespace order by number;

-- name: all-payload-keys()
select namespace, number, sealed_key, wrapped_by, created_at from payload_keys
order by namespace, number;

-- name: insert-payload-key(namespace, number, sealed_key, wrapped_by, call)!
-- Of two at once, the first one holds.
insert into payload_keys (namespace, number, sealed_key, wrapped_by)
select :namespace, :number, :sealed_key, :wrapped_by
from (select set_config('flowmesh.call', :call, true)) as called
on conflict do nothing;

-- name: destroy-payload-keys(namespace, call)!
update payload_keys set sealed_key = ''
where namespace = :namespace and set_config('flowmesh.call', :call, true) is not null;
