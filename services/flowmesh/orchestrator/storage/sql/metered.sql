-- Part for metered use: one row for each namespace, of the executions whose events were appended:
-- those of fenced partitions, and those that are new.
--
--  $1 hour[], $2 namespace[], $3 partition[], $4 id of a new execution[], $5 tasks[], $6 tokens[],
--  $7 bytes[]
metered as (
    insert into meters as m (source, namespace, hour, executions, tasks, tokens, bytes)
    select me.id::text, u.namespace, u.hour, count(s.id), sum(u.tasks), sum(u.tokens),
           sum(u.bytes)
    from unnest($1::int[], $2::text[], $3::int[], $4::text[], $5::int[], $6::bigint[],
                $7::bigint[])
         as u (hour, namespace, partition, execution_id, tasks, tokens, bytes)
    join fence f on f.id = u.partition
    left join started s on s.id = u.execution_id
    cross join me
    where u.execution_id = '' or s.id is not null
    group by 1, 2, 3
    order by 2, 3
    on conflict (source, namespace, hour) do update set
        executions = m.executions + excluded.executions,
        tasks = m.tasks + excluded.tasks,
        tokens = m.tokens + excluded.tokens,
        bytes = m.bytes + excluded.bytes
)
