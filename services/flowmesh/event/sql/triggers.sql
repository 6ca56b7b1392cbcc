-- name: now-us()$
select (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- name: known-workflows()
-- Workflows with triggers; the others need no deletion.
select distinct namespace, workflow from triggers;

-- name: update-source(namespace, workflow, version, live, grants)$
-- True if this version or its grant is newer than the stored one; the row is then locked.
insert into trigger_sources (namespace, workflow, version, live, grants)
values (:namespace, :workflow, :version, :live, :grants)
on conflict (namespace, workflow) do update
set version = excluded.version, live = excluded.live, grants = excluded.grants
where (excluded.version, not excluded.live, excluded.grants)
    > (trigger_sources.version, not trigger_sources.live, trigger_sources.grants)
returning true;

-- name: update-trigger(namespace, workflow, id, kind, version, body, hook, next_us, applied_by)!
-- The statistics and the pause of a trigger outlive its versions. An unchanged schedule keeps
-- its next instant, even an overdue one.
insert into triggers (namespace, workflow, id, kind, version, body, hook, next_us, applied_by)
values (:namespace, :workflow, :id, :kind, :version, :body, :hook, :next_us, :applied_by)
on conflict (namespace, workflow, id) do update
set kind = excluded.kind, version = excluded.version, body = excluded.body,
    hook = excluded.hook, applied_by = excluded.applied_by,
    next_us = case
        when triggers.body = excluded.body then triggers.next_us else excluded.next_us
    end;

-- name: delete-triggers(namespace, workflow, ids)!
-- With the starts that they are still to make.
with removed as (
    delete from triggers
    where namespace = :namespace and workflow = :workflow and id <> all(:ids::text[])
    returning namespace, workflow, id
)
delete from firings using removed
where (firings.namespace, firings.workflow, firings.trigger)
    = (removed.namespace, removed.workflow, removed.id);

-- name: due-schedules(count)
-- Due schedules, locked and skipped by other processes.
select namespace, workflow, id, body, next_us,
    (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us
from triggers
where next_us <= (extract(epoch from clock_timestamp()) * 1000000)::bigint and not paused
order by next_us
limit :count
for update skip locked;

-- name: move-schedules(namespaces, workflows, ids, next, missed)!
update triggers
set next_us = new.next_us, missed = triggers.missed + new.missed
from unnest(:namespaces::text[], :workflows::text[], :ids::text[], :next::bigint[],
        :missed::bigint[]) as new (namespace, workflow, id, next_us, missed)
where (triggers.namespace, triggers.workflow, triggers.id)
    = (new.namespace, new.workflow, new.id);

-- name: add-firings(ids, namespaces, workflows, triggers, causes, at, inputs, signals, payloads, lease_ms)!
-- Leased to this process if lease_ms > 0.
-- seals inputs of namespaces at input of firing {ids}
-- seals payloads of namespaces at payload of firing {ids}
insert into firings (
    id, namespace, workflow, trigger, cause, at_us, input, signal, payload, next_attempt_at
)
select new.*, now() + make_interval(secs => :lease_ms::float / 1000)
from unnest(:ids::text[], :namespaces::text[], :workflows::text[], :triggers::text[],
    :causes::text[], :at::bigint[], :inputs::bytea[], :signals::text[], :payloads::bytea[]) as new
order by 1
on conflict do nothing;

-- name: add-unpaused-firings(ids, namespaces, workflows, triggers, causes, at, inputs, signals, payloads)!
-- Firings of existing triggers that are not paused at the time of the commit.
-- seals inputs of namespaces at input of firing {ids}
-- seals payloads of namespaces at payload of firing {ids}
insert into firings (id, namespace, workflow, trigger, cause, at_us, input, signal, payload)
select new.*
from unnest(:ids::text[], :namespaces::text[], :workflows::text[], :triggers::text[],
    :causes::text[], :at::bigint[], :inputs::bytea[], :signals::text[], :payloads::bytea[])
    as new (id, namespace, workflow, trigger, cause, at_us, input, signal, payload)
join triggers as t on t.namespace = new.namespace and t.workflow = new.workflow
    and t.id = new.trigger and not t.paused
order by new.id
on conflict do nothing;

-- name: add-batched(ids)
-- Returns the messages that no batch contains yet.
insert into batched (id)
select id from unnest(:ids::text[]) as new (id) order by id
on conflict do nothing
returning id;

-- name: remove-batched(ids)!
-- The start of their batch was refused; they may start another.
delete from batched where id = any(:ids::text[]);

-- name: claim-firings(free, lease_ms)
-- Firings to start now; they are due again after the lease.
-- opens input at input of firing {id}
-- opens payload at payload of firing {id}
with due as (
    select id from firings
    where next_attempt_at <= now()
    order by next_attempt_at
    limit :free
    for update skip locked
)
update firings
set next_attempt_at = now() + make_interval(secs => :lease_ms::float / 1000)
from due
where firings.id = due.id
returning firings.id, namespace, workflow, trigger, cause, at_us, input, signal, payload, attempts;

-- name: postpone-firing(id, attempts, delay_ms)!
update firings
set attempts = :attempts, next_attempt_at = now() + make_interval(secs => :delay_ms::float / 1000)
where id = :id;

-- name: end-firing(id, at_us, execution_id, error, joined)!
-- Started, or refused permanently: updates the statistics of the trigger.
-- seals error of namespace at trigger {namespace}/{workflow}/{trigger}
with ended as (
    delete from firings where id = :id returning namespace, workflow, trigger
)
update triggers
set last_us = :at_us, last_execution = :execution_id, last_error = :error, fired = fired + 1,
    refused = refused + (:error::text <> '')::int, joined = joined + (:joined::bool)::int
from ended
where triggers.namespace = ended.namespace and triggers.workflow = ended.workflow
    and triggers.id = ended.trigger;

-- name: note-misfits(namespaces, workflows, ids, errors, refused)!
-- Events that do not fit triggers. A failed filter starts nothing, so it is not counted.
-- seals errors of namespaces at trigger {namespaces}/{workflows}/{ids}
with given as (
    select namespace, workflow, id, max(error) as error,
        count(*) filter (where refused) as refused
    from unnest(:namespaces::text[], :workflows::text[], :ids::text[], :errors::text[],
        :refused::bool[]) as given (namespace, workflow, id, error, refused)
    group by namespace, workflow, id
), locked as (
    select t.namespace, t.workflow, t.id, given.error, given.refused
    from triggers as t join given using (namespace, workflow, id)
    where given.refused > 0 or t.last_error <> given.error
    order by t.namespace, t.workflow, t.id
    for update of t
)
update triggers
set last_error = locked.error, fired = fired + locked.refused,
    refused = triggers.refused + locked.refused
from locked
where triggers.namespace = locked.namespace and triggers.workflow = locked.workflow
    and triggers.id = locked.id;

-- name: next-due-ms()$
-- Milliseconds until the next instant or the next retry; null if none is pending.
select ceil(least(
    (select min(next_us) / 1000.0 from triggers where next_us is not null and not paused)
        - extract(epoch from clock_timestamp()) * 1000,
    (select extract(epoch from min(next_attempt_at) - clock_timestamp()) * 1000 from firings)
))::bigint;

-- name: event-triggers(namespace)
select workflow, id, body from triggers
where namespace = :namespace and kind = 'event' and not paused
order by workflow, id;

-- name: all-event-triggers()
select namespace, workflow, id, body from triggers where kind = 'event';

-- name: queue-triggers()
-- Of all namespaces, without paused ones.
select namespace, workflow, id, body from triggers where kind = 'queue' and not paused;

-- name: add-published(namespace, source, id, type, at_us, event, call)$
-- True if the event is new.
-- seals event of namespace at published {source}/{id}
insert into published (namespace, source, id, type, at_us, event)
select :namespace::text, :source::text, :id::text, :type::text, :at_us::bigint, :event::bytea
where set_config('flowmesh.call', :call, true) is not null
on conflict do nothing
returning true;

-- name: undelivered-events(count)
-- Events not yet delivered to listeners, locked, in order.
-- opens event at published {source}/{id}
select namespace, source, id, event from published
where not delivered
order by at_us, source, id
limit :count
for update skip locked;

-- name: mark-delivered(namespaces, sources, ids)!
update published set delivered = true
from unnest(:namespaces::text[], :sources::text[], :ids::text[]) as sent (namespace, source, id)
where (published.namespace, published.source, published.id)
    = (sent.namespace, sent.source, sent.id);

-- name: published-between(namespace, from_us, to_us, after_us, after_source, after_id, count, bytes_max)
-- By time, limited by size. `held` is the number of matching events, at most one more than
-- requested.
-- opens event at published {source}/{id}
with found as (
    select source, id, at_us, event from published
    where namespace = :namespace and at_us >= :from_us and at_us < :to_us
        and (at_us, source, id) > (:after_us, :after_source, :after_id)
    order by at_us, source, id
    limit :count + 1
), sizes as (
    select *, count(*) over () as held, row_number() over by_time as number,
        sum(octet_length(event)) over by_time as total_bytes
    from found
    window by_time as (order by at_us, source, id)
)
select source, id, at_us, event, held from sizes
where number = 1 or (number <= :count and total_bytes <= :bytes_max)
order by at_us, source, id;

-- name: trigger(namespace, workflow, id)^
-- opens last_error at trigger {namespace}/{workflow}/{id}
select * from triggers where namespace = :namespace and workflow = :workflow and id = :id;

-- name: applied-by(namespace, workflow, id)$
select applied_by from triggers where namespace = :namespace and workflow = :workflow and id = :id;

-- name: trigger-of-hook(namespace, hook)^
-- opens last_error at trigger {namespace}/{workflow}/{id}
select * from triggers where namespace = :namespace and hook = :hook
order by version desc
limit 1;

-- name: list-triggers(namespace, workflow, after_workflow, after, count, bytes_max)
-- Limited by size. `held` is the number of matching triggers, at most one more than
-- requested.
-- opens last_error at trigger {namespace}/{workflow}/{id}
with found as (
    select * from triggers
    where namespace = :namespace and (:workflow::text = '' or workflow = :workflow::text)
        and (workflow, id) > (:after_workflow::text, :after::text)
    order by workflow, id
    limit :count + 1
), sizes as (
    select *, count(*) over () as held, row_number() over by_name as number,
        sum(octet_length(body)) over by_name as total_bytes
    from found
    window by_name as (order by workflow, id)
)
select * from sizes
where number = 1 or (number <= :count and total_bytes <= :bytes_max)
order by workflow, id;

-- name: set-paused(namespace, workflow, id, paused, call)^
-- opens last_error at trigger {namespace}/{workflow}/{id}
update triggers set paused = :paused
where namespace = :namespace and workflow = :workflow and id = :id and paused <> :paused
returning *, set_config('flowmesh.call', :call, true);

-- name: earlier-call(namespace, hook, name)^
select execution_id, node from calls
where namespace = :namespace and hook = :hook and name = :name;

-- name: record-call(namespace, hook, name, execution_id, node)!
-- Without an execution: its outcome is not known yet.
insert into calls (namespace, hook, name, execution_id, node)
values (:namespace, :hook, :name, :execution_id, :node)
on conflict (namespace, hook, name) do update
set execution_id = excluded.execution_id, node = excluded.node
where calls.execution_id = '';

-- name: delete-call(namespace, hook, name)!
delete from calls
where namespace = :namespace and hook = :hook and name = :name and execution_id = '';

-- name: hook-key()$
select key from hook_keys;

-- name: delete-expired-published(before_us)!
delete from published where at_us < :before_us;

-- name: delete-expired-batched(hours)!
delete from batched where at < now() - make_interval(hours => :hours);

-- name: delete-expired-calls(hours)!
delete from calls where at < now() - make_interval(hours => :hours);
