-- Part for messages, acknowledgements of messages, and waits with a key.
--
--  $1 messages: partition[], $2 id[], $3 target[], $4 command[], $5 execution_id[],
--      $6 is_start[]
--  $7 answered: partition[], $8 id[]
--  $9 waits: namespace[], $10 name[], $11 execution_id[], $12 partition[], $13 is_start[],
--      $14 waits[] (false: no longer)
sent as (
    insert into messages (partition, id, target, command)
    select m.partition, m.id, m.target, m.command
    from unnest($1::int[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::bool[])
         as m (partition, id, target, command, execution_id, is_start)
    join fence f on f.id = m.partition
    where not m.is_start or m.execution_id in (select id from started)
    order by 1, 2
), answered as (
    delete from messages m
    using unnest($7::int[], $8::text[]) as a (partition, id), fence f
    where f.id = a.partition and m.partition = a.partition and m.id = a.id
), wait as materialized (
    select u.*
    from unnest($9::text[], $10::text[], $11::text[], $12::int[], $13::bool[], $14::bool[])
         as u (namespace, name, execution_id, partition, is_start, waits)
    join fence f on f.id = u.partition
), begun as (
    insert into waits (namespace, name, execution_id)
    select w.namespace, w.name, w.execution_id
    from wait w
    where w.waits and (not w.is_start or w.execution_id in (select id from started))
    order by 1, 2, 3
    on conflict do nothing
), ended as (
    delete from waits w
    using wait u
    where not u.waits and w.namespace = u.namespace and w.name = u.name
      and w.execution_id = u.execution_id
)
