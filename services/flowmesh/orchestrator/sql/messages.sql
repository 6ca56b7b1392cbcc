-- What `commit.sql` does besides in a batch with messages, answers to them, or waits with a key.
--
--  $57 messages: partition[], $58 id[], $59 target[], $60 command[], $61 execution_id[],
--      $62 is_start[]
--  $63 answered: partition[], $64 id[]
--  $65 waits: namespace[], $66 name[], $67 execution_id[], $68 partition[], $69 is_start[],
--      $70 waits[] (false: no longer)
told as (
    insert into messages (partition, id, target, command)
    select m.partition, m.id, m.target, m.command
    from unnest($57::int[], $58::text[], $59::text[], $60::bytea[], $61::text[], $62::bool[])
         as m (partition, id, target, command, execution_id, is_start)
    join fence f on f.id = m.partition
    where not m.is_start or m.execution_id in (select id from started)
    order by 1, 2
), answered as (
    delete from messages m
    using unnest($63::int[], $64::text[]) as a (partition, id), fence f
    where f.id = a.partition and m.partition = a.partition and m.id = a.id
), wait as materialized (
    select u.*
    from unnest($65::text[], $66::text[], $67::text[], $68::int[], $69::bool[], $70::bool[])
         as u (namespace, name, execution_id, partition, is_start, waits)
    join fence f on f.id = u.partition
), begun as (
    insert into waits (namespace, name, execution_id)
    select w.namespace, w.name, w.execution_id
    from wait w
    where w.waits and (not w.is_start or w.execution_id in (select id from started))
    order by 1, 2, 3
    on conflict do nothing
), over as (
    delete from waits w
    using wait u
    where not u.waits and w.namespace = u.namespace and w.name = u.name
      and w.execution_id = u.execution_id
)
