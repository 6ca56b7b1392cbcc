-- Of a batch that refers to payloads, or in which the snapshot of an execution is due.
--
--  $1 references: namespace[], $2 digest[], $3 execution_id[], $4 partition[]
--  $5 snapshots: execution_id[], $6 seq[], $7 body[], $8 partition[]
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
    from unnest($1::text[], $2::text[], $3::text[], $4::int[])
         as r (namespace, digest, execution_id, partition)
    join fence f on f.id = r.partition
    order by 1, 2, 3
    on conflict do nothing
), kept as (
    insert into snapshots (execution_id, seq, body)
    select n.execution_id, n.seq, n.body
    from unnest($5::text[], $6::bigint[], $7::bytea[], $8::int[])
         as n (execution_id, seq, body, partition)
    join fence f on f.id = n.partition
    order by 1
    on conflict (execution_id) do update set seq = excluded.seq, body = excluded.body
)
