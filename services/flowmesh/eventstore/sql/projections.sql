-- name: count-projections(namespace)$
select count(*) from projections where namespace = :namespace;

-- name: add-projection(namespace, projection, filter)$
insert into projections (namespace, projection, filter)
values (:namespace, :projection, :filter) on conflict do nothing returning true;

-- name: projection-named(namespace, projection)^
select p.*, coalesce(n.head, 0) as head
from projections p left join namespaces n on n.namespace = p.namespace
where p.namespace = :namespace and p.projection = :projection;

-- name: lock-projection(namespace, projection)^
select * from projections
where namespace = :namespace and projection = :projection for update;

-- name: projections-of(namespace)
select p.*, coalesce(n.head, 0) as head
from projections p left join namespaces n on n.namespace = p.namespace
where p.namespace = :namespace order by p.projection;

-- name: advance-projection(namespace, projection, generation, before, after)$
update projections set
    checkpoint = case when generation = :generation then :after else checkpoint end,
    shadow_checkpoint =
        case when shadow_generation = :generation then :after else shadow_checkpoint end
where namespace = :namespace and projection = :projection and (
    (generation = :generation and checkpoint = :before)
    or (shadow_generation = :generation and shadow_checkpoint = :before)
)
returning true;

-- name: put-states(namespace, projection, generation, keys, states)!
-- seals states of namespace at state {projection}/{generation}/{keys}
insert into projection_states (namespace, projection, generation, key, state)
select :namespace, :projection, :generation, each.key, each.state
from unnest(:keys::text[], :states::bytea[]) as each (key, state)
on conflict (namespace, projection, generation, key) do update set state = excluded.state;

-- name: drop-states(namespace, projection, generation, keys)!
delete from projection_states
where namespace = :namespace and projection = :projection and generation = :generation
    and key = any(:keys::text[]);

-- name: states-named(namespace, projection, generation, keys)
-- opens state at state {projection}/{generation}/{key}
select key, state from projection_states
where namespace = :namespace and projection = :projection and generation = :generation
    and key = any(:keys::text[])
order by key;

-- name: states-after(namespace, projection, generation, after, count)
-- opens state at state {projection}/{generation}/{key}
select key, state from projection_states
where namespace = :namespace and projection = :projection and generation = :generation
    and key > :after
order by key limit :count;

-- name: begin-rebuild(namespace, projection)!
update projections set
    generations = generations + 1, shadow_generation = generations + 1, shadow_checkpoint = 0
where namespace = :namespace and projection = :projection;

-- name: swap-projection(namespace, projection)!
update projections set
    generation = shadow_generation, checkpoint = shadow_checkpoint,
    shadow_generation = 0, shadow_checkpoint = 0
where namespace = :namespace and projection = :projection;

-- name: drop-generations(namespace, projection, kept)!
delete from projection_states
where namespace = :namespace and projection = :projection and generation <> all(:kept::bigint[]);

-- name: delete-projection(namespace, projection)$
delete from projections where namespace = :namespace and projection = :projection returning true;
