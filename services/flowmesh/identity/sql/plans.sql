-- name: plan(company)^
select * from plans where company = :company;

-- name: plans(after, count)
-- Of companies that are not deleted.
select p.* from plans p join companies c on c.id = p.company
where p.company > :after and c.deleted_at is null
order by p.company
limit :count;

-- name: set-plan(company, name, executions, tasks, tokens, stripe_customer, changed_by, call)!
insert into plans (company, name, executions, tasks, tokens, stripe_customer, changed_by)
values (:company, :name, :executions, :tasks, :tokens, :stripe_customer, :changed_by)
on conflict (company) do update set
    name = excluded.name,
    executions = excluded.executions,
    tasks = excluded.tasks,
    tokens = excluded.tokens,
    stripe_customer = excluded.stripe_customer,
    changed_by = excluded.changed_by,
    changed_at = now()
returning set_config('flowmesh.call', :call, true);

-- name: namespaces-of-company(company)
-- With those of deleted projects, whose use is billed.
select namespace from projects where company = :company order by namespace;

-- name: plan-bill(company)^
select * from plan_bills where company = :company;

-- name: begin-billing(company, customer)!
-- A customer is billed from the hour on in which it was named.
insert into plan_bills as b (company, customer, billed_at)
values (:company, :customer, date_trunc('hour', now(), 'UTC'))
on conflict (company) do update set
    customer = excluded.customer, billed_at = excluded.billed_at, problem = ''
where b.customer <> excluded.customer;

-- name: set-billed(company, customer, billed_at, problem)!
update plan_bills set billed_at = greatest(billed_at, :billed_at), problem = :problem
where company = :company and customer = :customer;

-- name: use-up-plan(company, plan, meter, most, used, resets_at)$
-- Returns whether it was not known before.
with before as (
    select 1 from plan_uses where company = :company and resets_at = :resets_at
), stored as (
    insert into plan_uses (company, plan, meter, most, used, resets_at)
    values (:company, :plan, :meter, :most, :used, :resets_at)
    on conflict (company) do update set
        plan = excluded.plan, meter = excluded.meter, most = excluded.most,
        used = excluded.used, resets_at = excluded.resets_at
)
select not exists (select from before);

-- name: free-plan(company)$
-- Returns whether the plan was used up before.
with gone as (delete from plan_uses where company = :company returning 1)
select exists (select from gone);
