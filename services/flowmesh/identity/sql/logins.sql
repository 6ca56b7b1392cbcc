-- name: insert-provider(id, company, name, kind, disabled, issuer, client_id, scopes, rules, sso_url, slo_url, certificates, link_by_email, hook, sealed_secret, call)^
insert into identity_providers (id, company, name, kind, disabled, issuer, client_id, scopes, rules,
    sso_url, slo_url, certificates, link_by_email, hook, sealed_secret)
values (:id, :company, :name, :kind, :disabled, :issuer, :client_id, :scopes, :rules, :sso_url,
    :slo_url, :certificates, :link_by_email, :hook, :sealed_secret)
returning *, set_config('flowmesh.call', :call, true);

-- name: provider(id)^
-- A provider of a company that is not deleted.
select p.* from identity_providers p join companies c on c.id = p.company
where p.id = :id and c.deleted_at is null;

-- name: providers-of(company)
select * from identity_providers where company = :company order by name, id;

-- name: providers-of-plugin(hook)
select id from identity_providers where hook = :hook order by id;

-- name: offered-providers(slug)
select p.* from identity_providers p join companies c on c.id = p.company
where c.slug = :slug and c.deleted_at is null and not p.disabled order by p.name, p.id;

-- name: update-provider(id, name, kind, disabled, issuer, client_id, scopes, rules, sso_url, slo_url, certificates, link_by_email, hook, sealed_secret, etag, call)^
update identity_providers set name = :name, kind = :kind, disabled = :disabled, issuer = :issuer,
    client_id = :client_id, scopes = :scopes, rules = :rules, sso_url = :sso_url,
    slo_url = :slo_url, certificates = :certificates, link_by_email = :link_by_email,
    hook = :hook, sealed_secret = coalesce(:sealed_secret, sealed_secret), etag = etag + 1
where id = :id and (:etag::int is null or etag = :etag)
returning *, set_config('flowmesh.call', :call, true);

-- name: delete-provider(id, etag, call)$
delete from identity_providers where id = :id and (:etag::int is null or etag = :etag)
returning true, set_config('flowmesh.call', :call, true);

-- name: linked-user(company, issuer, subject)^
select u.* from identity_links l join users u on u.id = l.user_id
where l.company = :company and l.issuer = :issuer and l.subject = :subject;

-- name: insert-link(company, issuer, subject, user_id, call)!
insert into identity_links (company, issuer, subject, user_id)
values (:company, :issuer, :subject, :user_id)
returning set_config('flowmesh.call', :call, true);

-- name: grants-by(user_id, granted_by)
select level, level_id, role from grants where user_id = :user_id and granted_by = :granted_by;

-- name: set-mapped-grant(user_id, level, level_id, role, granted_by, call)!
-- A role that a person gave stays.
insert into grants (user_id, level, level_id, role, granted_by)
values (:user_id, :level, :level_id, :role, :granted_by)
on conflict (user_id, level, level_id) do update set role = excluded.role, granted_at = now()
where grants.granted_by = excluded.granted_by and grants.role <> excluded.role
returning set_config('flowmesh.call', :call, true);

-- name: delete-grants-by(granted_by, call)
delete from grants where granted_by = :granted_by
returning user_id, set_config('flowmesh.call', :call, true);

-- name: use-login(digest, seconds)$
insert into used_logins (digest, expires_at)
values (:digest, now() + make_interval(secs => :seconds))
on conflict do nothing
returning true;

-- name: is-used-login(digest)$
select exists (select from used_logins where digest = :digest);

-- name: delete-used-logins()!
delete from used_logins where expires_at < now();

-- name: approve-device(user_code, user_id, session, call)!
insert into device_logins (user_code, user_id, session)
select :user_code, :user_id, s.id
from (select 1) as one left join sessions s on s.id = :session
on conflict (user_code) do nothing
returning set_config('flowmesh.call', :call, true);

-- name: take-device(user_code, seconds)^
-- An approved login, with the session that approved it if an identity provider opened that.
with taken as (
    delete from device_logins where user_code = :user_code returning *
)
select t.user_id, coalesce(s.parent, case when s.provider is not null then s.id end) as parent
from taken t left join sessions s on s.id = t.session
where t.approved_at > now() - make_interval(secs => :seconds);

-- name: delete-old-devices(seconds)!
delete from device_logins where approved_at < now() - make_interval(secs => :seconds);
