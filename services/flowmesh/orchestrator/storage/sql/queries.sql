-- name: register_incarnation(address, data_dir_id, lease_ms)$
-- Adds an incarnation with a fresh lease. Earlier ones of the same data directory are dead: this
-- process holds its lock.
with dead as (
    update incarnations set lease_until = '-infinity'
    where data_dir_id = :data_dir_id and data_dir_id <> '' and lease_until > now()
)
insert into incarnations (address, data_dir_id, lease_until)
values (:address, :data_dir_id, now() + :lease_ms::int * interval '1 millisecond')
returning id;

-- name: renew_lease(incarnation, lease_ms)^
-- The only periodic query: renews the lease and returns the state of ownership.
with renewed as (
    update incarnations
    set lease_until = clock_timestamp() + :lease_ms::int * interval '1 millisecond'
    where id = :incarnation
    returning id
)
select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us,
       exists (select from renewed) as renewed,
       (select coalesce(json_agg(json_build_array(i.id, i.address,
                   (extract(epoch from i.lease_until - clock_timestamp()) * 1000)::bigint)), '[]')
        from incarnations i where i.lease_until > clock_timestamp()) as alive,
       (select json_agg(json_build_array(p.id, p.epoch, p.incarnation) order by p.id)
        from partitions p) as partitions,
       (select version from limits_version) as limits_version;

-- name: end_lease(incarnation)!
update incarnations set lease_until = '-infinity' where id = :incarnation;

-- name: lock_free_partitions(partitions_max)
-- Locks partitions without an owner, or whose owner's lease has expired.
select p.id
from partitions p left join incarnations i on i.id = p.incarnation
where i.id is null or i.lease_until < clock_timestamp()
order by p.id
limit :partitions_max
for update of p skip locked;

-- name: claim_partitions(incarnation, locked)
-- Claims those of the locked partitions that are still free. A separate statement: another owner
-- may have claimed one between the snapshot of the first statement and its lock.
update partitions p
set epoch = p.epoch + 1, incarnation = :incarnation
from partitions before
    left join incarnations i on i.id = before.incarnation
    left join attached_workers w on w.incarnation = before.incarnation
where p.id = any (:locked::int[]) and before.id = p.id
  and (i.id is null or i.lease_until < clock_timestamp())
returning p.id, p.epoch, before.incarnation as previous, w.workers;

-- name: note_workers(incarnation, workers)!
-- Stores the workers attached to an owner; deletes lists of dead owners without partitions.
with gone as (
    delete from attached_workers w using incarnations i
    where i.id = w.incarnation and i.id <> :incarnation and i.lease_until < clock_timestamp()
      and not exists (select from partitions p where p.incarnation = i.id)
)
insert into attached_workers (incarnation, workers) values (:incarnation, :workers::text[])
on conflict (incarnation) do update set workers = excluded.workers;

-- name: hand_over_partition(partition, epoch, incarnation, receiver)$
update partitions set epoch = epoch + 1, incarnation = :receiver
where id = :partition and epoch = :epoch and incarnation = :incarnation
returning epoch;

-- name: raise_epoch(partition, epoch, incarnation)$
-- Raises the epoch above one that a worker has seen, if the partition is still owned.
update partitions set epoch = greatest(epoch, :epoch) + 1
where id = :partition and incarnation = :incarnation
returning epoch;

-- name: release_partitions(incarnation)!
update partitions set incarnation = null, epoch = epoch + 1 where incarnation = :incarnation;

-- name: position_of(incarnation)$
select position from incarnations where id = :incarnation;

-- name: outbox_row(incarnation, position)^
select execution_ids, partitions
from outbox where incarnation = :incarnation and position = :position;

-- name: unpublished_incarnations(incarnation)
-- Returns the last position of every other incarnation that still has outbox rows.
select incarnation, max(position) as position from outbox
where incarnation <> :incarnation group by incarnation order by incarnation;

-- name: read_outbox(incarnation, after, rows_max, bytes_max)
-- Returns the next positions up to a size; at least one position.
select * from (
select o.position, o.after, h.execution_id, h.seq, h.events, e.namespace, e.workflow_id,
       e.plan_digest, r.ordinality,
       coalesce(sum(octet_length(h.events)) over (order by o.position), 0) as bytes_so_far,
       min(o.position) over () as first_position
from (select * from outbox where incarnation = :incarnation and position > :after
      order by position limit :rows_max) o
left join lateral unnest(o.execution_ids, o.seqs) with ordinality
          as r (execution_id, seq, ordinality) on true
left join executions e on e.id = r.execution_id
-- One row at a time by the whole key: before the first statistics of a day, a plain join would use
-- only the day of the index and read all of its history for each row.
left join lateral (
    select h.execution_id, h.seq, h.events from history h
    where h.start_day = (e.started_at / 86400000000)::int
      and h.execution_id = r.execution_id and h.seq = r.seq
    limit 1) h on true
) found
where position = first_position or bytes_so_far <= :bytes_max
order by position, ordinality;

-- name: execution_rows(ids)
-- Returns the columns needed to rebuild executions from their history.
select e.id, e.namespace, e.plan_digest, e.status,
       (e.started_at / 86400000000)::int as start_day,
       s.seq as snapshot_seq, s.body as snapshot
from executions e left join snapshots s on s.execution_id = e.id
where e.id = any (:ids::text[]);

-- name: history_rows(days, ids, afters)
select h.execution_id, h.seq, h.events
from unnest(:days::int[], :ids::text[], :afters::bigint[]) as w (start_day, execution_id, after)
join history h on h.start_day = w.start_day and h.execution_id = w.execution_id
              and h.seq > w.after
order by h.execution_id, h.seq;

-- name: history_page(start_day, execution_id, after, rows_max)
-- Returns rows whose last event may be above `after`: the row that contains it, and later ones.
select seq, events from history
where start_day = :start_day and execution_id = :execution_id
  and seq >= coalesce(
      (select max(seq) from history
       where start_day = :start_day and execution_id = :execution_id
         and seq <= :after::bigint + 1), 0)
order by seq limit :rows_max;

-- name: history_after(start_day, execution_id, after, rows_max, bytes_max)
-- The rows of `history_page` up to a size. Concatenation here would take longer than sending.
select events from (
    select seq, events,
           sum(octet_length(events)) over (order by seq rows unbounded preceding) as bytes
    from history
    where start_day = :start_day and execution_id = :execution_id
      and seq >= coalesce(
          (select max(seq) from history
           where start_day = :start_day and execution_id = :execution_id
             and seq <= :after::bigint + 1), 0)
    order by seq limit :rows_max
) as page
where bytes - octet_length(events) < :bytes_max
order by seq;

-- name: plan_bodies(digests)
select digest, body from plans where digest = any (:digests::text[]);

-- name: ready_lanes(partitions)
-- Returns the lanes in which executions have tasks for workers, the most urgent one first.
select namespace, queue, priority from executions
where partition = any (:partitions::int[]) and ready_since is not null
union
select namespace, queue, priority from ready where partition = any (:partitions::int[])
order by priority desc, namespace, queue;

-- name: ready_executions(partitions, namespace, queue, priority, after_since, after_id, rows_max)
-- Returns executions with tasks for workers in one lane, in the order of dispatch: those with it as
-- their first lane and those with it as a further lane.
select r.id, r.ready_since
from unnest(:partitions::int[]) as p (id), lateral (
    (select e.id, e.ready_since from executions e
     where e.partition = p.id and e.namespace = :namespace and e.queue = :queue
       and e.priority = :priority and e.ready_since is not null
       and (e.ready_since, e.id) > (:after_since::bigint, :after_id::text collate "C")
     order by e.ready_since, e.id limit :rows_max)
    union all
    (select f.execution_id, f.ready_since from ready f
     where f.partition = p.id and f.namespace = :namespace and f.queue = :queue
       and f.priority = :priority
       and (f.ready_since, f.execution_id) > (:after_since::bigint, :after_id::text collate "C")
     order by f.ready_since, f.execution_id limit :rows_max)
) r
order by r.ready_since, r.id limit :rows_max;

-- name: due_executions(partitions, after, after_id, until, rows_max)
select id, wake_at from executions
where partition = any (:partitions::int[]) and wake_at is not null
  and wake_at >= :after and wake_at <= :until
  and (wake_at, id) > (:after::bigint, :after_id::text collate "C")
order by wake_at, id limit :rows_max;

-- name: next_wake(partitions, after)$
-- Reads one row of each partition, and not all that sleep.
select min(w.wake_at)
from unnest(:partitions::int[]) as p (id), lateral (
    select e.wake_at from executions e
    where e.partition = p.id and e.wake_at is not null and e.wake_at > :after
    order by e.wake_at limit 1
) w;

-- name: started_under(namespaces, request_ids)
-- Returns the executions with which earlier starts were answered.
select namespace, request_id, id, start_digest
from executions
where (namespace, request_id) in (select * from unnest(:namespaces::text[], :request_ids::text[]))
union all
select namespace, request_id, execution_id, start_digest
from start_joins
where (namespace, request_id) in (select * from unnest(:namespaces::text[], :request_ids::text[]));

-- name: starts_of(partitions, now_us)
select execution_id, namespace, workflow_id, key, phase, place, concurrency, replaces, debounces,
       answers_until
from starts
where partition = any (:partitions::int[]) and (phase < 5 or answers_until > :now_us);

-- name: delete_starts(now_us)!
-- Deletes entries of ended executions that answer no further start.
delete from starts where phase = 5 and answers_until <= :now_us;

-- name: execution_row(namespace, execution_id)^
select id, partition, workflow_id, plan_digest, status, started_at from executions
where id = :execution_id and namespace = :namespace;

-- name: last_ended(namespace, workflow_id, statuses, rows_max)
select id from executions
where namespace = :namespace and workflow_id = :workflow_id
  and status = any (:statuses::smallint[])
order by id desc
limit :rows_max;

-- name: put_payload(namespace, digest, encoding, size_bytes, data)!
insert into payloads (namespace, digest, encoding, size_bytes, data)
values (:namespace, :digest, :encoding, :size_bytes, :data)
on conflict (namespace, digest) do update set used_at = now();

-- name: renew_payload(namespace, digest)$
-- Keeps a payload for another day; no row if it is not stored.
update payloads set used_at = now() where namespace = :namespace and digest = :digest
returning true;

-- name: renew_payloads(namespace, digests)
-- Keeps payloads for another day; returns those that are stored.
update payloads set used_at = now()
where namespace = :namespace and digest in (
    select digest from payloads
    where namespace = :namespace and digest = any(:digests::text[])
    order by digest for update
)
returning digest;

-- name: get_payload(namespace, digest)^
select encoding, data from payloads where namespace = :namespace and digest = :digest;

-- name: collect_payloads()$
-- Deletes payloads without references that were unused for a day.
with gone as (
    delete from payloads p
    where p.used_at < now() - interval '24 hours'
      and not exists (select from payload_refs r
                      where r.namespace = p.namespace and r.digest = p.digest)
      and not exists (select from kept_signals k
                      where k.namespace = p.namespace and k.digest = p.digest and k.digest <> '')
    returning 1
)
select count(*) from gone;

-- name: history_days()
-- Returns the tables of days, including those that a dead process has detached halfway or not yet
-- dropped; and the current day by the clock of the database.
select c.relname, i.inhrelid is not null as attached,
       coalesce(i.inhdetachpending, false) as pending, t.today
from (select floor(extract(epoch from clock_timestamp()) / 86400)::int as today) t
left join pg_class c on c.relnamespace = 'orchestrator'::regnamespace and c.relkind = 'r'
                        and c.relname ~ '^history_[0-9]+$'
left join pg_inherits i on i.inhrelid = c.oid;

-- name: now_us()$
-- The clock by which executions have their times.
select (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- name: stranded_executions(partitions)
-- Returns running executions without open task and timer: they waited for the memory of an owner.
select id from executions
where partition = any (:partitions::int[]) and status = 2
  and ready_since is null and wake_at is null
-- In the order of the index, which the planner would not choose among many sleepers.
order by partition
limit 10000;

-- name: delete_snapshots()$
-- Deletes snapshots of ended executions; these are not rebuilt from snapshots.
with gone as (
    -- A subquery, so that the few snapshots are read, and not all executions.
    delete from snapshots s
    where (select e.ended_at from executions e where e.id = s.execution_id) is not null
    returning 1
)
select count(*) from gone;

-- name: limits_version()$
select version from limits_version;

-- name: limits_set()
select namespace, kind, subject, concurrency, rate, burst, weight, max_size, retries, actor,
       reason, updated_at
from limits order by namespace, kind, subject;

-- name: dispatch_stops()
select namespace, workflow_id, reason, actor, stopped_at, refuses_starts from dispatch_stops
order by namespace, workflow_id;

-- name: set_limit(namespace, kind, subject, concurrency, rate, burst, weight, max_size, retries, actor, reason, what, call)!
with moved as (
    update limits_version set version = version + 1
), noted as (
    insert into limit_changes (namespace, action, subject, actor, reason, at)
    values (:namespace, 'set', :what, :actor, :reason,
            (extract(epoch from clock_timestamp()) * 1000000)::bigint)
    returning set_config('flowmesh.call', :call, true)
)
insert into limits (namespace, kind, subject, concurrency, rate, burst, weight, max_size, retries,
                    actor, reason, updated_at)
values (:namespace, :kind, :subject, :concurrency, :rate, :burst, :weight, :max_size, :retries,
        :actor, :reason, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
on conflict (namespace, kind, subject) do update
set concurrency = excluded.concurrency, rate = excluded.rate, burst = excluded.burst,
    weight = excluded.weight, max_size = excluded.max_size, retries = excluded.retries,
    actor = excluded.actor, reason = excluded.reason, updated_at = excluded.updated_at;

-- name: delete_limit(namespace, kind, subject, actor, reason, what, call)$
with gone as (
    delete from limits where namespace = :namespace and kind = :kind and subject = :subject
    returning 1
), moved as (
    update limits_version set version = version + 1 where exists (select from gone)
), noted as (
    insert into limit_changes (namespace, action, subject, actor, reason, at)
    select :namespace, 'delete', :what, :actor, :reason,
           (extract(epoch from clock_timestamp()) * 1000000)::bigint
    from gone
    returning set_config('flowmesh.call', :call, true)
)
select count(*) from gone;

-- name: stop_dispatch(namespace, workflow_id, refuses_starts, actor, reason, what, call)$
with stopped as (
    insert into dispatch_stops (namespace, workflow_id, refuses_starts, reason, actor, stopped_at)
    values (:namespace, :workflow_id, :refuses_starts, :reason, :actor,
            (extract(epoch from clock_timestamp()) * 1000000)::bigint)
    on conflict do nothing
    returning 1
), moved as (
    update limits_version set version = version + 1 where exists (select from stopped)
), noted as (
    insert into limit_changes (namespace, action, subject, actor, reason, at)
    select :namespace, 'stop', :what, :actor, :reason,
           (extract(epoch from clock_timestamp()) * 1000000)::bigint
    from stopped
    returning set_config('flowmesh.call', :call, true)
)
select count(*) from stopped;

-- name: start_dispatch(namespace, workflow_id, actor, reason, what, call)$
with started as (
    delete from dispatch_stops where namespace = :namespace and workflow_id = :workflow_id
    returning 1
), moved as (
    update limits_version set version = version + 1 where exists (select from started)
), noted as (
    insert into limit_changes (namespace, action, subject, actor, reason, at)
    select :namespace, 'start', :what, :actor, :reason,
           (extract(epoch from clock_timestamp()) * 1000000)::bigint
    from started
    returning set_config('flowmesh.call', :call, true)
)
select count(*) from started;

-- name: limit_changes(namespace, before_id, rows_max)
select id, action, subject, actor, reason, at from limit_changes
where namespace = :namespace and (:before_id::bigint = 0 or id < :before_id)
order by id desc limit :rows_max;
-- name: pending_messages(partitions, rows_max)
-- Returns messages that are not known to be delivered, in the order of their commits.
select partition, id, target, command from messages
where partition = any (:partitions::int[]) and id not like '%:outward'
order by partition, id limit :rows_max;

-- name: pending_outward(partitions, rows_max, each_max)
-- Returns messages to other projects that are not known to be delivered, of each namespace the
-- first ones.
select partition, id, target, command from (
  select m.partition, m.id, m.target, m.command,
         row_number() over (partition by e.namespace order by m.partition, m.id) as number
  from messages m left join executions e on e.id = split_part(m.id, ':', 1)
  where m.partition = any (:partitions::int[]) and m.id like '%:outward'
) as numbered
where number <= :each_max
order by number, partition, id limit :rows_max;

-- name: linked_under(namespace, request_id)^
-- Returns the execution that another one started with a request id.
select id, workflow_version, status from executions
where namespace = :namespace and request_id = :request_id;

-- name: last_run(namespace, execution_id, runs_max)^
-- Returns the last run that continues an execution, at most `runs_max` runs later.
with recursive runs (id, number) as (
  select id, 1 from executions
  where namespace = :namespace and request_id = :execution_id || '/next'
  union all
  select next.id, number + 1
  from runs
  join executions as next on namespace = :namespace and request_id = runs.id || '/next'
  where number < :runs_max
)
select id from runs
order by number desc
limit 1;

-- name: waiting_under(namespace, signal, rows_max)
-- Returns executions that wait for a signal with a key.
select execution_id from waits
where namespace = :namespace and name = :signal
order by execution_id limit :rows_max;

-- name: listening(namespaces, types, names, rows_max)
-- Returns executions that wait for events of these types, at most `rows_max` for each. A name ends
-- with a space and the signal that they wait for.
select asked.namespace, asked.type, found.name, found.execution_id
from unnest(:namespaces::text[], :types::text[], :names::text[]) as asked (namespace, type, name)
cross join lateral (
    select waits.name, waits.execution_id from waits
    where waits.namespace = asked.namespace
        and waits.name >= asked.name || ' ' and waits.name < asked.name || '!'
    order by waits.name, waits.execution_id limit :rows_max
) as found;

-- name: send_keyed_signal(namespace, request_id, signal, rows_max)^
-- Stores the receivers of a signal; a repeated request returns those stored first. Stores nothing
-- if no execution waits for it, or if it is kept.
with waiting as (
    select array_agg(execution_id order by execution_id) as ids
    from (select execution_id from waits
          where namespace = :namespace and name = :signal
          order by execution_id limit :rows_max) w
), sent as (
    insert into keyed_signals (namespace, request_id, name, execution_ids)
    select :namespace::text, :request_id::text, :signal::text, ids
    from waiting where ids is not null and not exists (
        select from kept_signals k where k.namespace = :namespace and k.request_id = :request_id
    )
    on conflict (namespace, request_id) do nothing
    returning name, execution_ids
)
select name, execution_ids from keyed_signals
where namespace = :namespace and request_id = :request_id
union all
select name, execution_ids from sent
limit 1;

-- name: delete_keyed_signals()$
-- Deletes receivers after a day, but not those of signals that are still kept.
with gone as (
    delete from keyed_signals s where at < now() - interval '24 hours' and not exists (
        select from kept_signals k
        where k.namespace = s.namespace and k.request_id = s.request_id
    )
    returning 1
)
select count(*) from gone;

-- name: executions_that_ask(namespace, names, after, rows_max)
select distinct execution_id from waits
where namespace = :namespace and name = any (:names::text[]) and execution_id > :after
order by execution_id limit :rows_max;

-- name: all_executions_that_ask(namespace, after, rows_max)
select distinct execution_id from waits
where namespace = :namespace and name >= ' approval ' and name < ' approval!'
  and execution_id > :after
order by execution_id limit :rows_max;
