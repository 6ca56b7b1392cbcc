-- name: lead(holder, lease_ms, seen)^
-- A lease that ends later than a new one is of a clock that was set back; it is taken if its holder
-- has not renewed it since it was seen.
update leader set
    epoch = case when holder = :holder and until > now() then epoch else epoch + 1 end,
    holder = :holder,
    until = now() + :lease_ms * interval '1 millisecond'
where holder = :holder or until <= now()
    or until = :seen and until > now() + :lease_ms * interval '1 millisecond'
returning epoch, not exists (select from specs)
    and not exists (select from agents where state < 6) as idle;

-- name: led-until()$
select until from leader;

-- name: leaderless()$
select until <= now() from leader;

-- name: leave(holder)!
update leader set until = 'epoch' where holder = :holder;

-- name: prove(epoch)$
select true from leader where epoch = :epoch and until > now() for share;

-- name: lock-namespace(namespace)!
select pg_advisory_xact_lock(hashtextextended('flowmesh.fleet ' || :namespace, 0));

-- name: spec(namespace, spec)^
select s.*, exists (
    select 1 from policies p where p.namespace = s.namespace and p.spec = s.spec
) as has_policy, (
    select count(*) from agents a
    where a.namespace = s.namespace and a.spec = s.spec and a.state in (3, 4)
) as ready
from specs s where s.namespace = :namespace and s.spec = :spec;

-- name: lived()
-- Seconds of agents within this hour and the one before.
select a.id, a.namespace, (h.begun * 1000000)::bigint as hour_us, l.seconds
from agents a
cross join lateral (
    select floor(extract(epoch from now()) / 3600) * 3600 - 3600 * back as begun
    from unnest(array[0, 1]) as b (back)
) h
cross join lateral (
    select ceil(least(extract(epoch from coalesce(a.ended_at, now())), h.begun + 3600)
        - greatest(extract(epoch from a.created_at), h.begun))::bigint as seconds
) l
where l.seconds > 0 and (a.ended_at is null or a.ended_at > now() - interval '2 hours');

-- name: specs(namespace)
select s.*, exists (
    select 1 from policies p where p.namespace = s.namespace and p.spec = s.spec
) as has_policy, (
    select count(*) from agents a
    where a.namespace = s.namespace and a.spec = s.spec and a.state in (3, 4)
) as ready
from specs s where :namespace::text is null or s.namespace = :namespace
order by s.namespace, s.spec;

-- name: put-spec(namespace, spec, content, replicas, maker, owner, call)!
insert into specs (namespace, spec, version, newest, content, replicas, wanted, maker, owner)
values (:namespace, :spec, 1, 1, :content, :replicas, :replicas, :maker, :owner)
on conflict (namespace, spec) do update set
    version = specs.newest + 1, newest = specs.newest + 1, content = :content,
    replicas = :replicas, problem = '', maker = :maker, owner = :owner, deleted = false,
    changed_at = now()
returning set_config('flowmesh.call', :call, true);

-- name: set-replicas(namespace, spec, replicas, call)!
update specs set replicas = :replicas where namespace = :namespace and spec = :spec
returning set_config('flowmesh.call', :call, true);

-- name: own-spec(namespace, spec, owner, call)!
update specs set owner = :owner where namespace = :namespace and spec = :spec
returning set_config('flowmesh.call', :call, true);

-- name: set-deleted(namespace, spec, call)!
update specs set deleted = true where namespace = :namespace and spec = :spec
returning set_config('flowmesh.call', :call, true);

-- name: remove-spec(namespace, spec, call)!
delete from specs where namespace = :namespace and spec = :spec and deleted
returning set_config('flowmesh.call', :call, true);

-- name: note-spec(namespace, spec, wanted, problem)!
update specs set wanted = :wanted, problem = :problem
where namespace = :namespace and spec = :spec;

-- name: settle-spec(namespace, spec)!
update specs set stable = content, stable_version = version
where namespace = :namespace and spec = :spec;

-- name: return-spec(namespace, spec, problem, call)!
update specs set content = stable, version = stable_version, problem = :problem
where namespace = :namespace and spec = :spec and stable_version > 0
returning set_config('flowmesh.call', :call, true);

-- name: agent(namespace, id)^
select * from agents where namespace = :namespace and id = :id;

-- name: agents(namespace, spec, ended, most)
select * from agents
where namespace = :namespace and (:spec::text = '' or spec = :spec) and (state < 6 or :ended)
order by state >= 6, created_at desc limit :most;

-- name: present-agents(window_ms)
select * from agents
where state < 6 or ended_at > now() - :window_ms * interval '1 millisecond'
order by created_at, id;

-- name: insert-agent(id, namespace, spec, version, slots, isolation)!
insert into agents (id, namespace, spec, version, slots, isolation)
values (:id, :namespace, :spec, :version, :slots, :isolation);

-- name: start-agent(id, pid, node, enforcement)!
update agents set state = 2, pid = :pid, node = :node, enforcement = :enforcement
where id = :id and state = 1;

-- name: ready-agent(id)!
update agents set state = 3, reason = '', ready_at = coalesce(ready_at, now())
where id = :id and state in (2, 4);

-- name: degrade-agent(id, reason)!
update agents set state = 4, reason = :reason where id = :id and state = 3;

-- name: drain-agent(id, reason, call)^
update agents set state = 5, reason = :reason, drain_at = now() where id = :id and state < 5
returning *, set_config('flowmesh.call', :call, true);

-- name: end-agent(id, state, reason, exit_code, last_words)!
update agents set state = :state, reason = :reason, exit_code = :exit_code,
    last_words = :last_words, ended_at = now(), cpu = 0, busy = 0
where id = :id and state < 6;

-- name: measure-agents(ids, cpus, memories)!
update agents a set cpu = m.cpu, memory_bytes = m.memory
from unnest(:ids::text[], :cpus::real[], :memories::bigint[]) as m (id, cpu, memory)
where a.id = m.id and a.state < 6;

-- name: beat-agents(ids, slots, busy, gauges)!
update agents a set beat_at = now(), slots = m.slots, busy = m.busy, gauges = m.gauges::json
from unnest(:ids::text[], :slots::int[], :busy::int[], :gauges::text[])
    as m (id, slots, busy, gauges)
where a.id = m.id and a.state < 6;

-- name: starts(namespace)$
select count(*) from agents
where namespace = :namespace and created_at between now() - interval '1 minute' and now();

-- name: policies(namespace)
select * from policies where :namespace::text is null or namespace = :namespace order by policy;

-- name: policy-of(namespace, spec)^
select * from policies where namespace = :namespace and spec = :spec;

-- name: put-policy(namespace, policy, spec, content, owner, call)!
insert into policies (namespace, policy, spec, content, owner)
values (:namespace, :policy, :spec, :content, :owner)
on conflict (namespace, policy) do update set
    content = :content, owner = :owner, memory = '{}'
returning set_config('flowmesh.call', :call, true);

-- name: remove-policy(namespace, policy, call)^
delete from policies where namespace = :namespace and policy = :policy
returning spec, set_config('flowmesh.call', :call, true);

-- name: keep-replicas(namespace, spec, call)!
update specs set replicas = wanted where namespace = :namespace and spec = :spec
returning set_config('flowmesh.call', :call, true);

-- name: remember(namespace, policy, memory)!
update policies set memory = :memory where namespace = :namespace and policy = :policy;

-- name: decide(namespace, spec, before, wish, count, reason, held)!
insert into decisions (namespace, spec, before, wish, count, reason, held)
values (:namespace, :spec, :before, :wish, :count, :reason, :held);

-- name: decisions(namespace, spec, most)
select * from decisions where namespace = :namespace and (:spec::text = '' or spec = :spec)
order by id desc limit :most;

-- name: forget(decision_days, ended_days)!
with old as (delete from decisions where at < now() - :decision_days * interval '1 day')
delete from agents where ended_at < now() - :ended_days * interval '1 day';

-- name: quota(namespace)^
select * from quotas where namespace = :namespace;

-- name: quotas()
select * from quotas;

-- name: put-quota(namespace, agents, cpu, memory_bytes, starts_per_minute, call)!
insert into quotas (namespace, agents, cpu, memory_bytes, starts_per_minute)
values (:namespace, :agents, :cpu, :memory_bytes, :starts_per_minute)
on conflict (namespace) do update set agents = :agents, cpu = :cpu,
    memory_bytes = :memory_bytes, starts_per_minute = :starts_per_minute
returning set_config('flowmesh.call', :call, true);
