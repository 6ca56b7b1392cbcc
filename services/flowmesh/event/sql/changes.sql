-- name: change-triggers()
-- Also paused ones: their slots are kept within a bound.
select namespace, workflow, id, body, paused from triggers where kind = 'change';

-- name: change-slots()
select * from change_slots;

-- name: change-slots-of(namespace, workflows)
select * from change_slots where namespace = :namespace and workflow = any(:workflows::text[]);

-- name: add-change-slot(slot, namespace, workflow, trigger, database, source, publication)!
insert into change_slots (slot, namespace, workflow, trigger, database, source, publication)
values (:slot, :namespace, :workflow, :trigger, :database, :source, :publication)
on conflict do nothing;

-- name: lease-change-slot(slot, owner, lease_ms)^
-- The slot, leased to the owner; nothing while another one has it.
update change_slots
set owner = :owner, leased_until = now() + make_interval(secs => :lease_ms::float / 1000)
where slot = :slot and (owner = :owner or leased_until < now())
returning *;

-- name: release-change-slots(owner)!
update change_slots set leased_until = '-infinity' where owner = :owner;

-- name: begin-change-slot(slot)!
update change_slots set phase = 'reading', problem = '' where slot = :slot and phase = 'creating';

-- name: move-change-slot(slot, owner, from_lsn, from_number, lsn, number)$
-- True if no other process has moved it since.
update change_slots set lsn = :lsn, number = :number
where slot = :slot and owner = :owner and lsn = :from_lsn and number = :from_number
returning true;

-- name: report-change-slot(slot, problem)!
update change_slots
set problem = :problem, checked_us = (extract(epoch from clock_timestamp()) * 1000000)::bigint
where slot = :slot and phase <> 'lost';

-- name: measure-change-slot(slot, lag_bytes, keep_bytes_max)!
update change_slots
set lag_bytes = :lag_bytes, keep_bytes_max = :keep_bytes_max,
    checked_us = (extract(epoch from clock_timestamp()) * 1000000)::bigint
where slot = :slot;

-- name: lose-change-slot(slot, problem, renewed)!
-- The trigger keeps the problem as its last error.
with lost as (
    update change_slots
    set phase = 'lost', problem = :problem, renewed = :renewed, lag_bytes = 0
    where slot = :slot and phase <> 'lost'
    returning namespace, workflow, trigger
)
update triggers set last_error = :problem
from lost
where triggers.namespace = lost.namespace and triggers.workflow = lost.workflow
    and triggers.id = lost.trigger;

-- name: renew-change-slot(slot)!
update change_slots set renewed = true where slot = :slot and phase = 'lost';

-- name: delete-change-slot(slot)!
delete from change_slots where slot = :slot;

-- name: waiting-firings(namespace, workflow, trigger)^
-- Number and size of the firings of a trigger that are not started yet.
select count(*) as firings, coalesce(sum(octet_length(input) + octet_length(payload)), 0)::bigint
    as bytes
from firings where namespace = :namespace and workflow = :workflow and trigger = :trigger;

-- name: add-ordered-firings(ids, namespaces, workflows, triggers, causes, at, inputs, signals, payloads)!
-- They are due in their order; none for a trigger that is gone.
-- seals inputs of namespaces at input of firing {ids}
-- seals payloads of namespaces at payload of firing {ids}
insert into firings (
    id, namespace, workflow, trigger, cause, at_us, input, signal, payload, next_attempt_at
)
select id, namespace, workflow, trigger, cause, at_us, input, signal, payload,
    now() + number * interval '1 microsecond'
from unnest(:ids::text[], :namespaces::text[], :workflows::text[], :triggers::text[],
    :causes::text[], :at::bigint[], :inputs::bytea[], :signals::text[], :payloads::bytea[])
    with ordinality as new (
        id, namespace, workflow, trigger, cause, at_us, input, signal, payload, number
    )
where exists (
    select from triggers as t where t.namespace = new.namespace and t.workflow = new.workflow
        and t.id = new.trigger
)
order by id
on conflict do nothing;

-- name: refuse-changes(namespace, workflow, id, count, at_us, error)!
-- Changes without a valid input, which start nothing; none if a filter failed.
-- seals error of namespace at trigger {namespace}/{workflow}/{id}
update triggers
set last_error = :error, fired = fired + :count, refused = refused + :count,
    last_us = case when :count::bigint > 0 then :at_us else last_us end,
    last_execution = case when :count::bigint > 0 then '' else last_execution end
where namespace = :namespace and workflow = :workflow and id = :id;
