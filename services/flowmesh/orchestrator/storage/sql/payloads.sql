-- Part for references to payloads, and for snapshots.
--
--  $1 references: namespace[], $2 digest[], $3 execution_id[], $4 partition[], $5 is_start[]
--  $6 snapshots: execution_id[], $7 seq[], $8 body[], $9 partition[], $10 is_start[]
used as (
    update payloads p set used_at = now()
    from (select distinct r.namespace, r.digest
          from unnest($1::text[], $2::text[], $4::int[]) as r (namespace, digest, partition)
          join fence f on f.id = r.partition
          order by r.namespace, r.digest) r
    where p.namespace = r.namespace and p.digest = r.digest
), referred as (
    insert into payload_refs (namespace, digest, execution_id)
    select r.namespace, r.digest, r.execution_id
    from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bool[])
         as r (namespace, digest, execution_id, partition, is_start)
    join fence f on f.id = r.partition
    where not r.is_start or r.execution_id in (select id from started)
    order by 1, 2, 3
    on conflict do nothing
), kept as (
    insert into snapshots (execution_id, seq, body)
    select n.execution_id, n.seq, n.body
    from unnest($6::text[], $7::bigint[], $8::bytea[], $9::int[], $10::bool[])
         as n (execution_id, seq, body, partition, is_start)
    join fence f on f.id = n.partition
    where not n.is_start or n.execution_id in (select id from started)
    order by 1
    on conflict (execution_id) do update set seq = excluded.seq, body = excluded.body
)
