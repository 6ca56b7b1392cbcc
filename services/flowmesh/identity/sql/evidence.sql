-- name: reviewed-users(company)
-- Users with a role in a company, or on the whole installation; with an empty company all users.
select u.email, u.name, u.disabled, u.created_at, u.last_login_at, json_agg(json_build_array(
    g.role, g.level, g.level_id, g.granted_by, (extract(epoch from g.granted_at) * 1000000)::bigint
) order by g.level, g.level_id)::text as grants
from users u join grants g on g.user_id = u.id
where :company = '' or g.level = 0
    or g.level = 1 and g.level_id = :company
    or g.level = 2 and g.level_id in (select id from organizations where company = :company)
    or g.level = 3 and g.level_id in (select id from projects where company = :company)
group by u.id
order by u.email;

-- name: reviewed-keys(company)
select k.*, p.slug as project_slug from api_keys k join projects p on p.id = k.project
where (:company = '' or p.company = :company) and p.deleted_at is null
order by p.slug, k.name, k.id;

-- name: reviewed-projects(company)
select slug, namespace from projects
where (:company = '' or company = :company) and deleted_at is null
order by slug;
