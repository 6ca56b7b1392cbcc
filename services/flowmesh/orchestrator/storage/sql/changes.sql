-- Part for executions whose queryable columns have changed.
--
--  $1 executions: id[], $2 partition[], $3 status[], $4 ended_at[], $5 wake_at[],
--     $6 ready_since[], $7 queue[], $8 priority[]
changed as (
    update executions e
    set status = s.status, ended_at = s.ended_at, wake_at = s.wake_at,
        ready_since = s.ready_since, queue = s.queue, priority = s.priority
    from (
        select u.*
        from unnest($1::text[], $2::int[], $3::smallint[], $4::bigint[], $5::bigint[],
                    $6::bigint[], $7::text[], $8::smallint[])
             as u (id, partition, status, ended_at, wake_at, ready_since, queue, priority)
        join fence f on f.id = u.partition
        order by u.id
    ) s
    where e.id = s.id
)
