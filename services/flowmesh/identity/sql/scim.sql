-- name: scim-users(provider, user_name, external_id, start, count)
select s.*, u.name, u.email from scim_users s join users u on u.id = s.user_id
where s.provider = :provider and not s.deleted
    and (:user_name::text is null or lower(s.user_name) = lower(:user_name))
    and (:external_id::text is null or s.external_id = :external_id)
order by s.user_id
limit :count offset :start;

-- name: count-scim-users(provider, user_name, external_id)$
select count(*) from scim_users s
where s.provider = :provider and not s.deleted
    and (:user_name::text is null or lower(s.user_name) = lower(:user_name))
    and (:external_id::text is null or s.external_id = :external_id);

-- name: scim-user(provider, user_id)^
select s.*, u.name, u.email from scim_users s join users u on u.id = s.user_id
where s.provider = :provider and s.user_id = :user_id and not s.deleted;

-- name: lock-scim(provider)!
-- Changes of a provider wait for each other.
select pg_advisory_xact_lock(hashtextextended('flowmesh.identity.scim.' || :provider, 0));

-- name: deleted-scim-user(provider, user_name)$
select user_id from scim_users
where provider = :provider and lower(user_name) = lower(:user_name) and deleted;

-- name: scim-name-user(provider, user_name)$
select user_id from scim_users where provider = :provider and lower(user_name) = lower(:user_name);

-- name: put-scim-user(provider, user_id, user_name, external_id, active, call)!
insert into scim_users (provider, company, user_id, user_name, external_id, active)
select p.id, p.company, :user_id, :user_name, :external_id, :active
from identity_providers p where p.id = :provider
on conflict (provider, user_id) do update
set user_name = excluded.user_name, external_id = excluded.external_id, active = excluded.active,
    deleted = false, changed_at = now()
returning set_config('flowmesh.call', :call, true);

-- name: delete-scim-user(provider, user_id, call)!
with gone as (delete from scim_members where provider = :provider and user_id = :user_id)
update scim_users set deleted = true, active = false, changed_at = now()
where provider = :provider and user_id = :user_id
returning set_config('flowmesh.call', :call, true);

-- name: provisioned-user(provider, subject, email)^
-- The user that a subject of a provider is, by the id or the name that the provider gave it.
select u.* from scim_users s join users u on u.id = s.user_id
where s.provider = :provider and not s.deleted and (
    s.external_id = :subject or lower(s.user_name) = lower(:subject)
    or lower(s.user_name) = :email or u.email = :email
)
order by s.external_id = :subject desc, lower(s.user_name) = lower(:subject) desc, s.user_id
limit 1;

-- name: groups-of-user(provider, user_id)
select g.display_name from scim_members m join scim_groups g on g.id = m.group_id
where m.provider = :provider and m.user_id = :user_id
order by g.display_name;

-- name: set-profile(id, name, email, call)$
update users set name = :name, email = :email
where id = :id and not exists (select from users where email = :email and id <> :id)
returning true, set_config('flowmesh.call', :call, true);

-- name: set-disabled-by(id, disabled, disabled_by, call)$
-- What an administrator disabled stays so.
update users set disabled = :disabled, disabled_by = :disabled_by
where id = :id and disabled <> :disabled and (not disabled or disabled_by = :disabled_by)
returning true, set_config('flowmesh.call', :call, true);

-- name: scim-groups(provider, display_name, external_id, start, count)
select * from scim_groups
where provider = :provider
    and (:display_name::text is null or lower(display_name) = lower(:display_name))
    and (:external_id::text is null or external_id = :external_id)
order by id
limit :count offset :start;

-- name: count-scim-groups(provider, display_name, external_id)$
select count(*) from scim_groups
where provider = :provider
    and (:display_name::text is null or lower(display_name) = lower(:display_name))
    and (:external_id::text is null or external_id = :external_id);

-- name: scim-group(provider, id)^
select * from scim_groups where provider = :provider and id = :id;

-- name: put-scim-group(id, provider, display_name, external_id, call)!
insert into scim_groups (id, provider, company, display_name, external_id)
select :id, p.id, p.company, :display_name, :external_id
from identity_providers p where p.id = :provider
on conflict (id) do update
set display_name = excluded.display_name, external_id = excluded.external_id, changed_at = now()
returning set_config('flowmesh.call', :call, true);

-- name: delete-scim-group(id, call)!
delete from scim_groups where id = :id
returning set_config('flowmesh.call', :call, true);

-- name: scim-members(groups)
select m.group_id, m.user_id, u.name from scim_members m join users u on u.id = m.user_id
where m.group_id = any(:groups)
order by m.group_id, m.user_id;

-- name: insert-scim-members(group_id, provider, users, call)
-- Unknown users do not join.
insert into scim_members (group_id, provider, company, user_id)
select :group_id, s.provider, s.company, s.user_id from scim_users s
where s.provider = :provider and s.user_id = any(:users) and not s.deleted
on conflict do nothing
returning user_id, set_config('flowmesh.call', :call, true);

-- name: known-scim-users(provider, users)$
select count(*) from scim_users
where provider = :provider and user_id = any(:users) and not deleted;

-- name: delete-scim-members(group_id, users, call)
-- All of them if no users are stated.
delete from scim_members
where group_id = :group_id and (:users::text[] is null or user_id = any(:users))
returning user_id, set_config('flowmesh.call', :call, true);
