-- name: owner-of(namespace, kind, name)$
select owner from owners where namespace = :namespace and kind = :kind and name = :name;

-- name: set-owner(namespace, kind, name, owner)!
insert into owners (namespace, kind, name, owner)
values (:namespace, :kind, :name, :owner)
on conflict (namespace, kind, name) do update set owner = excluded.owner, since = now();

-- name: forget-owner(namespace, kind, name)!
delete from owners where namespace = :namespace and kind = :kind and name = :name;
