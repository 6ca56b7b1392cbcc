-- Part for the entries of concurrency groups, and for starts that join another execution.
--
--  $1 places: execution_id[], $2 partition[], $3 namespace[], $4 workflow_id[], $5 key[],
--     $6 phase[], $7 place[], $8 concurrency[], $9 replaces[], $10 debounces[],
--     $11 answers_until[], $12 at[], $13 is_new[]
--  $14 joins: namespace[], $15 request_id[], $16 execution_id[], $17 start_digest[],
--      $18 partition[], $19 is_new[]
place as materialized (
    select u.*
    from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::smallint[],
                $7::text[], $8::int[], $9::bool[], $10::bool[], $11::bigint[], $12::bigint[],
                $13::bool[])
         as u (execution_id, partition, namespace, workflow_id, key, phase, place, concurrency,
               replaces, debounces, answers_until, at, is_new)
    join fence f on f.id = u.partition
), placed as (
    insert into starts (execution_id, partition, namespace, workflow_id, key, phase, place,
                        concurrency, replaces, debounces, answers_until)
    select p.execution_id, p.partition, p.namespace, p.workflow_id, p.key, p.phase, p.place,
           p.concurrency, p.replaces, p.debounces, p.answers_until
    from place p
    where p.is_new and p.execution_id in (select id from started)
      and (p.phase < 5 or p.answers_until > p.at)
    order by 1
), moved as (
    update starts s set phase = p.phase
    from (select * from place where not is_new order by execution_id) p
    where s.execution_id = p.execution_id and (p.phase < 5 or s.answers_until > p.at)
), left_line as (
    delete from starts s using place p
    where not p.is_new and p.phase = 5
      and s.execution_id = p.execution_id and s.answers_until <= p.at
), joined as (
    insert into start_joins (namespace, request_id, execution_id, start_digest)
    select j.namespace, j.request_id, j.execution_id, j.start_digest
    from unnest($14::text[], $15::text[], $16::text[], $17::bytea[], $18::int[], $19::bool[])
         as j (namespace, request_id, execution_id, start_digest, partition, is_new)
    join fence f on f.id = j.partition
    where not j.is_new or j.execution_id in (select id from started)
    order by 1, 2
    on conflict do nothing
)
