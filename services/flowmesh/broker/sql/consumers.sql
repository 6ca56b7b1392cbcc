-- name: open-consumer(queue_id, group_name, consumer, lease_ms)$
-- The new connection. A consumer whose lease has expired is the last one again.
insert into consumers (queue_id, group_name, consumer, until)
values (:queue_id, :group_name, :consumer, now() + make_interval(secs => :lease_ms::float / 1000))
on conflict (queue_id, group_name, consumer) do update
set until = excluded.until,
    connection = excluded.connection,
    number = case
        when consumers.until > now() then consumers.number else nextval('consumers_number_seq')
    end
returning connection;

-- name: renew-consumer(queue_id, group_name, consumer, lease_ms)$
-- True for the first of the open consumers, false for another one, null after its lease expired.
update consumers as own set until = now() + make_interval(secs => :lease_ms::float / 1000)
where queue_id = :queue_id and group_name = :group_name and consumer = :consumer and until > now()
returning not exists (
    select from consumers as other
    where other.queue_id = own.queue_id and other.group_name = own.group_name
        and other.number < own.number and other.until > now()
);

-- name: close-consumer(queue_id, group_name, consumer, connection)!
-- Changes nothing if the consumer has connected again.
update consumers set until = now()
where queue_id = :queue_id and group_name = :group_name and consumer = :consumer
    and connection = :connection and until > now();

-- name: has-consumer(queue_id, group_name)$
select exists (
    select from consumers
    where queue_id = :queue_id and group_name = :group_name and until > now()
);

-- name: is-consumed(queue_id)$
select exists (select from consumers where queue_id = :queue_id and until > now());

-- name: left-queues(unused_ms)
-- Queues whose consumers have all left.
select queue_id from consumers
group by queue_id
having max(until) < now() - make_interval(secs => :unused_ms::float / 1000);

-- name: forget-consumers(kept_ms)!
delete from consumers
where until < now() - make_interval(secs => :kept_ms::float / 1000);
