-- Plans of companies: limits of a month, where 0 is unlimited, and the customer at Stripe.
create table plans (
    company text collate "C" primary key references companies on delete cascade,
    name text not null,
    executions bigint not null,
    tasks bigint not null,
    tokens bigint not null,
    stripe_customer text not null,
    changed_by text not null,
    changed_at timestamptz not null default now()
);

-- Limits that are reached in this month.
create table plan_uses (
    company text primary key references companies on delete cascade,
    plan text not null,
    meter text not null,
    most bigint not null,
    used bigint not null,
    resets_at timestamptz not null
);

-- Use before `billed_at` is billed.
create table plan_bills (
    company text primary key references companies on delete cascade,
    customer text not null,
    billed_at timestamptz not null,
    problem text not null default ''
);

create trigger audit after insert or update or delete on plans
    for each row execute function note_change('company', 'changed_at', '');
