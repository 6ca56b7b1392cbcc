-- Part for metered use: one row for each namespace, of the executions whose events were appended.
--
--  $1 hour[], $2 execution_id[], $3 namespace[], $4 executions[], $5 tasks[], $6 tokens[],
--  $7 bytes[]
metered as (
    insert into meters as m (source, namespace, hour, executions, tasks, tokens, bytes)
    select me.id::text, u.namespace, u.hour, sum(u.executions), sum(u.tasks), sum(u.tokens),
           sum(u.bytes)
    from unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::int[], $6::bigint[],
                $7::bigint[])
         as u (hour, execution_id, namespace, executions, tasks, tokens, bytes)
    join appended a on a.execution_id = u.execution_id
    cross join me
    group by 1, 2, 3
    order by 2, 3
    on conflict (source, namespace, hour) do update set
        executions = m.executions + excluded.executions,
        tasks = m.tasks + excluded.tasks,
        tokens = m.tokens + excluded.tokens,
        bytes = m.bytes + excluded.bytes
)
