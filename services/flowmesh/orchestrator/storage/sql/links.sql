-- name: make_link_key(secret, call)!
-- Stores the first key, unless there is one.
insert into link_keys (id, secret) values (1, :secret) on conflict do nothing
returning set_config('flowmesh.call', :call, true);

-- name: rotate_link_key(secret, actor, reason, request_id, good_ms, call)^
-- No row if another key was made just now, or with this request before. Expired keys stay expired.
with made as (
    insert into link_keys (id, secret, actor, reason, request_id)
    select coalesce(max(id), 0) + 1, :secret, :actor, :reason, nullif(:request_id::text, '')
    from link_keys
    on conflict do nothing
    returning id, set_config('flowmesh.call', :call, true)
), older as (
    update link_keys
    set good_until = least(good_until, now() + make_interval(secs => :good_ms::float8 / 1000))
    where exists (select from made) and (good_until is null or good_until > now())
    returning id
)
select id, (select count(*) from older) as older from made;

-- name: link_key_under(request_id)$
select id from link_keys where request_id = nullif(:request_id::text, '');

-- name: newest_link_key()^
select id, secret from link_keys order by id desc limit 1;

-- name: link_key(id)$
select secret from link_keys where id = :id and (good_until is null or good_until > now());

-- name: link_keys(most_id, rows_max)
select id, actor, reason,
       (extract(epoch from created_at) * 1000000)::bigint as created_at_us,
       coalesce((extract(epoch from good_until) * 1000000)::bigint, 0) as good_until_us
from link_keys
where :most_id::int = 0 or id <= :most_id
order by id desc limit :rows_max;
