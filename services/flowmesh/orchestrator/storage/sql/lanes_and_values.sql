-- Part for executions with open tasks in further lanes, or with changed search values.
--
--  $1 further lanes: execution_id[], $2 partition[], $3 namespace[], $4 queue[], $5 priority[],
--     $6 ready_since[] (null: no longer open), $7 is_start[]
--  $8 search values: execution_id[], $9 partition[], $10 namespace[], $11 name[], $12 text[],
--     $13 number[] (both null: no longer there), $14 is_start[]
lane as materialized (
    select u.*
    from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::smallint[], $6::bigint[],
                $7::bool[])
         as u (execution_id, partition, namespace, queue, priority, ready_since, is_start)
    join fence f on f.id = u.partition
), opened as (
    insert into ready (partition, namespace, queue, priority, ready_since, execution_id)
    select l.partition, l.namespace, l.queue, l.priority, l.ready_since, l.execution_id
    from lane l
    where l.ready_since is not null
      and (not l.is_start or l.execution_id in (select id from started))
    order by l.execution_id, l.queue, l.priority
), closed as (
    delete from ready r using lane l
    where l.ready_since is null
      and r.execution_id = l.execution_id and r.queue = l.queue and r.priority = l.priority
), value as materialized (
    select u.*
    from unnest($8::text[], $9::int[], $10::text[], $11::text[], $12::text[],
                $13::double precision[], $14::bool[])
         as u (execution_id, partition, namespace, name, text, number, is_start)
    join fence f on f.id = u.partition
), valued as (
    insert into search_values (execution_id, name, namespace, text, number)
    select v.execution_id, v.name, v.namespace, v.text, v.number
    from value v
    where num_nonnulls(v.text, v.number) > 0
      and (not v.is_start or v.execution_id in (select id from started))
    order by v.execution_id, v.name
    on conflict (execution_id, name) do update set text = excluded.text, number = excluded.number
), unvalued as (
    delete from search_values s using value v
    where num_nonnulls(v.text, v.number) = 0
      and s.execution_id = v.execution_id and s.name = v.name
)
