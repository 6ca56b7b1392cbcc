-- name: begin_bulk(id, partition, namespace, request_id, action, filter, now_us, matched, rate_per_second, actor, until_id, call)^
-- Stores a new bulk; no row if the request id began one before.
insert into bulks (id, partition, namespace, request_id, action, filter, now_us, status, matched,
                   rate_per_second, actor, created_at, until_id)
values (:id, :partition, :namespace, nullif(:request_id, ''), :action, :filter, :now_us, 1,
        :matched, :rate_per_second, :actor, :now_us, :until_id)
on conflict (namespace, request_id) where request_id is not null do nothing
returning *, set_config('flowmesh.call', :call, true);

-- name: bulk_under(namespace, request_id)^
select * from bulks where namespace = :namespace and request_id = :request_id;

-- name: bulk_row(namespace, bulk_id)^
select * from bulks where namespace = :namespace and id = :bulk_id;

-- name: bulk_rows(namespace, rows_max)
select * from bulks where namespace = :namespace order by created_at desc limit :rows_max;

-- name: open_bulks(partitions)
select * from bulks where partition = any (:partitions::int[]) and status = 1 order by id;

-- name: take_page(bulk_id, cursor, page)^
-- Stores the executions to process next; no row if another runner moved on or the bulk has ended.
update bulks set page = :page::text[]
where id = :bulk_id and status = 1 and cursor = :cursor and page = '{}'
returning *;

-- name: count_page(bulk_id, cursor, next_cursor, applied, skipped, failed, failures)^
-- Counts the results of a page once and moves the cursor behind it.
update bulks
set page = '{}', cursor = :next_cursor, applied = applied + :applied, skipped = skipped + :skipped,
    failed = failed + :failed, failures = failures || :failures::text::jsonb
where id = :bulk_id and cursor = :cursor and page <> '{}'
returning *;

-- name: end_bulk(namespace, bulk_id, status, ended_at, call)^
update bulks set status = :status, ended_at = :ended_at
where namespace = :namespace and id = :bulk_id and status = 1
    and set_config('flowmesh.call', :call, true) is not null
returning *;

-- name: delete_bulks(ended_before)$
with gone as (delete from bulks where ended_at < :ended_before returning 1)
select count(*) from gone;
