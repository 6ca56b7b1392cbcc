-- name: bump(namespace)^
-- Locks the topology of the namespace until the end of the transaction.
insert into namespaces (namespace, version) values (:namespace, 1)
on conflict (namespace) do update set version = namespaces.version + 1
returning version, exchanges, queues, bindings, suspension;

-- name: version-of(namespace)$
select version from namespaces where namespace = :namespace;

-- name: namespace-row(namespace)^
select version, suspension from namespaces where namespace = :namespace;

-- name: suspend(namespace, suspension)!
update namespaces set suspension = :suspension where namespace = :namespace;

-- name: imported(queue_id, origin)$
select sequence from imports where queue_id = :queue_id and origin = :origin;

-- name: note-imported(queue_id, origin, sequence)!
insert into imports (queue_id, origin, sequence) values (:queue_id, :origin, :sequence)
on conflict (queue_id) do update
set origin = excluded.origin,
    sequence = case
        when imports.origin = excluded.origin then greatest(imports.sequence, excluded.sequence)
        else excluded.sequence
    end;

-- name: receipt-key()$
select key from receipt_keys;

-- name: body-key()$
-- Encrypts bodies in an open installation, which has no key file.
select key from body_keys;

-- name: exchanges-of(namespace)
select body from exchanges where namespace = :namespace order by exchange;

-- name: exchange-body(namespace, exchange)$
select body from exchanges where namespace = :namespace and exchange = :exchange;

-- name: queue-row(namespace, queue)^
select id, body from queues where namespace = :namespace and queue = :queue;

-- name: queues-of(namespace)
select queue, id, body from queues where namespace = :namespace order by queue;

-- name: bindings-of(namespace)
select body from bindings where namespace = :namespace order by source, queue, exchange, digest;

-- name: all-queues()
select namespace, queue, id, body from queues;

-- name: add-exchange(namespace, exchange, body, call)$
insert into exchanges (namespace, exchange, body) values (:namespace, :exchange, :body)
returning set_config('flowmesh.call', :call, true);

-- name: add-queue(namespace, queue, id, body, call)$
insert into queues (namespace, queue, id, body) values (:namespace, :queue, :id, :body)
returning set_config('flowmesh.call', :call, true);

-- name: add-binding(namespace, source, queue, exchange, digest, body, call)$
insert into bindings (namespace, source, queue, exchange, digest, body)
values (:namespace, :source, :queue, :exchange, :digest, :body)
on conflict do nothing
returning set_config('flowmesh.call', :call, true) is not null;

-- name: remove-binding(namespace, source, queue, exchange, digest, call)$
delete from bindings
where namespace = :namespace and source = :source and queue = :queue and exchange = :exchange
    and digest = :digest
returning set_config('flowmesh.call', :call, true) is not null;

-- name: remove-exchange(namespace, exchange, call)$
with gone as (
    delete from exchanges where namespace = :namespace and exchange = :exchange
    returning set_config('flowmesh.call', :call, true)
), unbound as (
    delete from bindings
    where namespace = :namespace and (source = :exchange or exchange = :exchange)
)
select true from gone;

-- name: remove-queue(namespace, queue, call)$
with gone as (
    delete from queues where namespace = :namespace and queue = :queue
    returning id, set_config('flowmesh.call', :call, true)
), unbound as (
    delete from bindings where namespace = :namespace and queue = :queue
), left_by as (
    delete from consumers using gone where queue_id = gone.id
), unneeded as (
    delete from body_references using gone where queue_id = gone.id
), taken as (
    delete from imports using gone where queue_id = gone.id
)
select true from gone;

-- name: note-operation(namespace, queue, after, call)!
-- An audited operation on messages, which are not in this database; nothing without a call.
insert into audit_outbox (entries)
select json_build_array(json_build_object(
    'at_us', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    'actor', call ->> 'actor',
    'method', call ->> 'method',
    'namespace', :namespace::text,
    'target', :queue::text,
    'before', null,
    'after', :after::json,
    'address', call ->> 'address'
))
from (select nullif(:call, '')::jsonb as call) as stated
where call is not null;
