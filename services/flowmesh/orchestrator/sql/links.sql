-- name: make_link_key(secret)!
-- The first key; whoever comes second finds that of the first.
insert into link_keys (id, secret) values (1, :secret) on conflict do nothing;

-- name: newest_link_key()^
select id, secret from link_keys order by id desc limit 1;

-- name: link_key(id)$
select secret from link_keys where id = :id;
