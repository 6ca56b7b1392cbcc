-- name: insert-points(at_us, service, instance, rows)!
-- One statement for all metrics of a process and minute.
insert into points (at, service, instance, metric, gauge, labels, amounts)
select to_timestamp(:at_us / 1e6), :service, :instance, r.metric, r.gauge, r.labels, r.amounts
from jsonb_to_recordset(:rows::jsonb)
    as r(metric text, gauge boolean, labels text[], amounts real[]);

-- name: insert-logs(instance, rows)!
insert into logs (at_us, level, service, instance, event, namespace, execution_id, trace_id, fields)
select r.at_us, r.level, r.service, :instance, r.event, r.namespace, r.execution_id, r.trace_id,
    r.fields
from jsonb_to_recordset(:rows::jsonb) as r(
    at_us bigint, level text, service text, event text, namespace text, execution_id text,
    trace_id text, fields text
);

-- name: insert-calls(instance, rows)!
insert into calls (
    at_us, service, instance, method, code, duration_ms, namespace, execution_id, trace_id
)
select r.at_us, r.service, :instance, r.method, r.code, r.duration_ms, r.namespace,
    r.execution_id, r.trace_id
from jsonb_to_recordset(:rows::jsonb) as r(
    at_us bigint, service text, method text, code text, duration_ms double precision,
    namespace text, execution_id text, trace_id text
);

-- name: minutes(metric, from_us, until_us, step_s)
select (extract(epoch from p.at)::bigint / :step_s * :step_s)::bigint as step, p.service, u.label,
    case when bool_or(p.gauge) then avg(u.amount) else sum(u.amount) end as amount
from points p, unnest(p.labels, p.amounts) as u(label, amount)
where p.metric = :metric and p.at >= to_timestamp(:from_us / 1e6)
    and p.at < to_timestamp(:until_us / 1e6)
group by 1, 2, 3;

-- name: shares(metric, from_us, until_us, step_s)
-- Of a gauge of which each instance has a share: the mean of the sums of the minutes.
select (extract(epoch from p.at)::bigint / :step_s * :step_s)::bigint as step, p.service, u.label,
    sum(u.amount) / count(distinct p.at) as amount
from points p, unnest(p.labels, p.amounts) as u(label, amount)
where p.metric = :metric and p.at >= to_timestamp(:from_us / 1e6)
    and p.at < to_timestamp(:until_us / 1e6)
group by 1, 2, 3;

-- name: hours(metric, from_us, until_us, step_s)
select (extract(epoch from p.at)::bigint / :step_s * :step_s)::bigint as step, p.service, u.label,
    case when bool_or(p.gauge) then avg(u.amount) else sum(u.amount) end as amount
from hours p, unnest(p.labels, p.amounts) as u(label, amount)
where p.metric = :metric and p.at >= to_timestamp(:from_us / 1e6)
    and p.at < to_timestamp(:until_us / 1e6)
group by 1, 2, 3;

-- name: add-hour(hour_us, shares)!
-- Sums the minutes of an hour that has ended; a second call changes nothing.
insert into hours (at, service, metric, gauge, labels, amounts)
select to_timestamp(:hour_us / 1e6), s.service, s.metric, bool_or(s.gauge), array_agg(s.label),
    array_agg(s.amount::real)
from (
    select p.service, p.metric, bool_or(p.gauge) as gauge, u.label,
        case when not bool_or(p.gauge) then sum(u.amount)
            when p.metric = any (:shares::text[]) then sum(u.amount) / count(distinct p.at)
            else avg(u.amount) end as amount
    from points p, unnest(p.labels, p.amounts) as u(label, amount)
    where p.at >= to_timestamp(:hour_us / 1e6) and p.at < to_timestamp(:hour_us / 1e6 + 3600)
    group by p.service, p.metric, u.label
) s
group by s.service, s.metric
on conflict do nothing;

-- name: last-hour()$
select coalesce((extract(epoch from max(at)) * 1e6)::bigint, 0) from hours;

-- name: first-point()$
select coalesce((extract(epoch from min(at)) * 1e6)::bigint, 0) from points;

-- name: delete-hours(months)!
delete from hours where at < now() - make_interval(months => :months);

-- name: partitions()
-- The partitions by day, the oldest first, with their sizes.
select c.relname as name, p.relname as parent, pg_total_relation_size(c.oid) as bytes
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
join pg_class p on p.oid = i.inhparent
where p.relnamespace = 'observe'::regnamespace and p.relname in ('points', 'logs', 'calls')
order by right(c.relname, 8), c.relname;
