-- name: insert-user(id, email, name, password_hash, call)^
insert into users (id, email, name, password_hash)
values (:id, :email, :name, :password_hash)
on conflict (email) do nothing
returning *, set_config('flowmesh.call', :call, true);

-- name: user(id)^
select * from users where id = :id;

-- name: user-of-email(email)^
select * from users where email = :email;

-- name: users-of-company(company, after, count)
select distinct u.* from users u join grants g on g.user_id = u.id
where u.email > :after and (
    g.level = 1 and g.level_id = :company
    or g.level = 2 and g.level_id in (select id from organizations where company = :company)
    or g.level = 3 and g.level_id in (select id from projects where company = :company)
)
order by u.email
limit :count;

-- name: grants-in-company(users, company)
-- Roles of users on a company and below it, the widest level first.
select g.user_id, g.level, g.level_id, g.role from grants g
where g.user_id = any(:users) and (
    g.level = 1 and g.level_id = :company
    or g.level = 2 and g.level_id in (select id from organizations where company = :company)
    or g.level = 3 and g.level_id in (select id from projects where company = :company)
)
order by g.user_id, g.level, g.level_id;

-- name: is-in-company(user_id, company)$
-- True if the user has a role in a company.
select exists (
    select from grants g where g.user_id = :user_id and (
        g.level = 1 and g.level_id = :company
        or g.level = 2 and g.level_id in (select id from organizations where company = :company)
        or g.level = 3 and g.level_id in (select id from projects where company = :company)
    )
);

-- name: has-role-outside(user_id, company)$
select exists (
    select from grants g where g.user_id = :user_id and not (
        g.level = 1 and g.level_id = :company
        or g.level = 2 and g.level_id in (select id from organizations where company = :company)
        or g.level = 3 and g.level_id in (select id from projects where company = :company)
    )
);

-- name: set-password(id, password_hash, call)!
update users set password_hash = :password_hash where id = :id
returning set_config('flowmesh.call', :call, true);

-- name: set-disabled(id, disabled, call)$
update users set disabled = :disabled, disabled_by = '' where id = :id
returning true, set_config('flowmesh.call', :call, true);

-- name: note-login(id)!
update users set last_login_at = now() where id = :id;

-- name: grants-of(user_id)
select level, level_id, role from grants where user_id = :user_id order by level, level_id;

-- name: namespaces-of(user_id)
-- Roles by namespace, those of the levels above included.
select p.namespace, g.role
from grants g
join projects p on (
    g.level = 3 and p.id = g.level_id
    or g.level = 2 and p.organization = g.level_id
    or g.level = 1 and p.company = g.level_id
)
join organizations o on o.id = p.organization
join companies c on c.id = p.company
where g.user_id = :user_id
    and p.deleted_at is null and o.deleted_at is null and c.deleted_at is null;

-- name: shared-namespaces(user_id, project)
-- Namespaces of the companies in which a user has a role, or of the company of a project.
with mine as (
    select company from projects where id = :project
    union
    select coalesce(p.company, o.company, g.level_id)
    from grants g
    left join organizations o on g.level = 2 and o.id = g.level_id
    left join projects p on g.level = 3 and p.id = g.level_id
    where g.user_id = :user_id and g.level > 0
)
select p.namespace
from mine join projects p using (company)
join organizations o on o.id = p.organization
join companies c on c.id = p.company
where p.deleted_at is null and o.deleted_at is null and c.deleted_at is null;

-- name: roles-on(user_id, company, organization, project)
-- Roles on a level and on those above it; absent levels are null.
select role from grants
where user_id = :user_id and (
    level = 0
    or level = 1 and level_id = :company
    or level = 2 and level_id = :organization
    or level = 3 and level_id = :project
);

-- name: has-role-below(user_id, company, organization)$
-- True if the user has a role on a level below.
select exists (
    select from grants g where g.user_id = :user_id and (
        g.level = 2 and :organization::text is null
            and g.level_id in (select id from organizations where company = :company)
        or g.level = 3 and g.level_id in (
            select id from projects
            where company = :company
                and (:organization::text is null or organization = :organization)
        )
    )
);

-- name: members(company, organization, project, after_email, after_level, count)
-- Users with a role on a level or above it, by email address and level. Those with a role on the
-- installation are shown to its own members only.
select u.*, g.role as granted_role, g.level as granted_level
from grants g join users u on u.id = g.user_id
where (
    g.level = 0 and :company::text is null
    or g.level = 1 and g.level_id = :company
    or g.level = 2 and g.level_id = :organization
    or g.level = 3 and g.level_id = :project
) and (u.email, g.level) > (:after_email, :after_level::smallint)
order by u.email, g.level
limit :count;

-- name: lock-level(key)!
select pg_advisory_xact_lock(hashtextextended(:key, 0));

-- name: set-grant(user_id, level, level_id, role, granted_by, call)!
insert into grants (user_id, level, level_id, role, granted_by)
values (:user_id, :level, :level_id, :role, :granted_by)
on conflict (user_id, level, level_id) do update
set role = excluded.role, granted_by = excluded.granted_by, granted_at = now()
returning set_config('flowmesh.call', :call, true);

-- name: delete-grant(user_id, level, level_id, call)!
delete from grants where user_id = :user_id and level = :level and level_id = :level_id
returning set_config('flowmesh.call', :call, true);

-- name: other-owners(level, level_id, user_id)$
select count(*) from grants g join users u on u.id = g.user_id
where g.level = :level and g.level_id = :level_id and g.role = 'owner' and not u.disabled
    and g.user_id <> :user_id;

-- name: insert-invitation(id, digest, email, level, level_id, role, created_by, days, call)^
insert into invitations (id, digest, email, level, level_id, role, created_by, expires_at)
values (:id, :digest, :email, :level, :level_id, :role, :created_by,
    now() + make_interval(days => :days))
returning *, set_config('flowmesh.call', :call, true);

-- name: take-invitation(digest, email, call)^
delete from invitations
where digest = :digest and email = :email and expires_at > now()
returning *, set_config('flowmesh.call', :call, true);

-- name: is-invited(digest, email)$
select exists (
    select from invitations where digest = :digest and email = :email and expires_at > now()
);

-- name: invitation(id)^
select * from invitations where id = :id;

-- name: invitations(level, level_id)
select * from invitations
where level = :level and level_id = :level_id and expires_at > now()
order by created_at desc
limit 1000;

-- name: delete-invitation(id, call)!
delete from invitations where id = :id
returning set_config('flowmesh.call', :call, true);

-- name: use-bootstrap(digest)$
insert into used_bootstrap_tokens (digest) values (:digest)
on conflict do nothing
returning true;
