-- name: set-objective(namespace, workflow, body, most, call)$
-- Null if the namespace is full. The state is computed soon.
insert into objectives (namespace, workflow, body)
select :namespace::text, :workflow::text, :body::bytea
where (select count(*) from objectives
       where namespace = :namespace::text and workflow <> :workflow::text) < :most::int
on conflict (namespace, workflow) do update set body = excluded.body, claimed_us = 0
returning set_config('flowmesh.call', :call, true) is not null;

-- name: delete-objective(namespace, workflow, call)$
delete from objectives where namespace = :namespace and workflow = :workflow
returning set_config('flowmesh.call', :call, true) is not null;

-- name: objective(namespace, workflow)$
select body from objectives where namespace = :namespace and workflow = :workflow;

-- name: objectives(namespace)
select body, burning from objectives where namespace = :namespace order by workflow;

-- name: claim-objectives(now_us, before_us, most)
-- Objectives whose state is old; another process leaves them alone until it is old again.
update objectives set claimed_us = :now_us
where (namespace, workflow) in (
    select namespace, workflow from objectives where claimed_us < :before_us
    order by claimed_us limit :most for update skip locked
)
returning namespace, workflow, body, burning;

-- name: set-objective-state(namespace, workflow, body, burning, now_us)!
-- Unless the objective was set meanwhile.
update objectives set body = :body, burning = :burning
where namespace = :namespace and workflow = :workflow and claimed_us = :now_us;
