-- Part for outbox rows that are served.
--
--  $1 incarnation[], $2 position[]
served as (
    delete from outbox o
    using unnest($1::bigint[], $2::bigint[]) as v (incarnation, position)
    where o.incarnation = v.incarnation and o.position <= v.position and exists (select from me)
)
