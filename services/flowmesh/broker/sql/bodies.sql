-- name: note-reference(queue_id, namespace, digest, ahead_ms)!
-- A message of the queue refers to a stored payload, now or after a delay.
insert into body_references (queue_id, namespace, digest, noted_at)
values (:queue_id, :namespace, :digest, now() + make_interval(secs => :ahead_ms::float / 1000))
on conflict (queue_id, digest) do update
set noted_at = greatest(body_references.noted_at, excluded.noted_at);

-- name: body-references()
select queue_id, namespace, digest, (extract(epoch from noted_at) * 1000000)::bigint as noted_us
from body_references
order by namespace, digest;

-- name: forget-references(queue_ids, digests, noted_us)!
-- Those that were not noted again meanwhile.
delete from body_references as stored
using unnest(:queue_ids::text[], :digests::text[], :noted_us::bigint[])
    as gone (queue_id, digest, noted_us)
where (stored.queue_id, stored.digest) = (gone.queue_id, gone.digest)
    and (extract(epoch from stored.noted_at) * 1000000)::bigint = gone.noted_us;
