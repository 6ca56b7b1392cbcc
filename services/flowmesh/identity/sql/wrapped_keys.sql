-- name: wrapped-otherwise(wrapped_by, namespace, number, count)
-- Keys of values, and with the number 0 those of secrets, that another key wraps.
select namespace, number, sealed_key, wrapped_by from (
    select namespace, number, sealed_key, wrapped_by from payload_keys where sealed_key <> ''
    union all
    select namespace, 0, sealed_key, wrapped_by from data_keys
) as every
where wrapped_by <> :wrapped_by and (namespace, number) > (:namespace, :number)
order by namespace, number
limit :count;

-- name: rewrap-payload-key(namespace, number, former, sealed_key, wrapped_by, call)$
-- Not if it was destroyed or wrapped anew meanwhile.
update payload_keys set sealed_key = :sealed_key, wrapped_by = :wrapped_by
where namespace = :namespace and number = :number and sealed_key = :former
    and set_config('flowmesh.call', :call, true) is not null
returning namespace;

-- name: rewrap-secrets-key(namespace, former, sealed_key, wrapped_by, call)$
update data_keys set sealed_key = :sealed_key, wrapped_by = :wrapped_by
where namespace = :namespace and sealed_key = :former
    and set_config('flowmesh.call', :call, true) is not null
returning namespace;

-- name: wrapping-uses()
select wrapped_by, count(*) as keys from (
    select wrapped_by from payload_keys where sealed_key <> ''
    union all
    select wrapped_by from data_keys
) as every
group by wrapped_by
order by wrapped_by;
