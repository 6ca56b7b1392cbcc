-- name: request-answer(namespace, request_id)^
select content, answer from requests where namespace = :namespace and request_id = :request_id;

-- name: lock-request(key)!
-- Waits for a concurrent call with the same request id, or one that counts against a quota.
select pg_advisory_xact_lock(hashtextextended(:key::text, 0));

-- name: add-request(namespace, request_id, content, answer)!
insert into requests (namespace, request_id, content, answer)
values (:namespace, :request_id, :content, :answer);

-- name: forget-requests(hours, count)!
-- Deletes a few expired answers with every new one.
delete from requests where ctid in (
    select ctid from requests where created_at < now() - make_interval(hours => :hours)
    order by created_at limit :count for update skip locked
);
