-- Part for new executions. Precedes the parts that need to know which executions were created.
--
--  $1 plans: digest[], $2 body[]
--  $3 starts: id[], $4 partition[], $5 namespace[], $6 workflow_id[], $7 workflow_name[],
--     $8 version[], $9 plan_digest[], $10 request_id[], $11 start_digest[], $12 status[],
--     $13 started_at[], $14 ended_at[], $15 wake_at[], $16 ready_since[], $17 queue[],
--     $18 priority[]
planned as (
    insert into plans (digest, body)
    select n.digest, n.body
    from unnest($1::text[], $2::bytea[]) as n (digest, body)
    where exists (select from fence)
    order by n.digest
    on conflict (digest) do nothing
), started as (
    insert into executions (
        id, partition, namespace, workflow_id, workflow_name, workflow_version, plan_digest,
        request_id, start_digest, status, started_at, ended_at, wake_at, ready_since, queue,
        priority
    )
    select n.id, n.partition, n.namespace, n.workflow_id, n.workflow_name, n.version, n.plan_digest,
           nullif(n.request_id, ''), n.start_digest, n.status, n.started_at, n.ended_at, n.wake_at,
           n.ready_since, n.queue, n.priority
    from unnest($3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::int[],
                $9::text[], $10::text[], $11::bytea[], $12::smallint[], $13::bigint[],
                $14::bigint[], $15::bigint[], $16::bigint[], $17::text[], $18::smallint[])
         as n (id, partition, namespace, workflow_id, workflow_name, version, plan_digest,
               request_id, start_digest, status, started_at, ended_at, wake_at, ready_since, queue,
               priority)
    join fence f on f.id = n.partition
    order by n.namespace, n.request_id
    on conflict (namespace, request_id) where request_id is not null do nothing
    returning id
)
