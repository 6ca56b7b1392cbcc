-- name: insert-session(id, user_id, call)!
insert into sessions (id, user_id) values (:id, :user_id)
returning set_config('flowmesh.call', :call, true);

-- name: session-user(id)$
-- The user of a session that is not revoked.
select s.user_id from sessions s join users u on u.id = s.user_id
where s.id = :id and s.revoked_at is null and not u.disabled;

-- name: revoke-session(id, call)!
update sessions set revoked_at = now() where id = :id and revoked_at is null
returning set_config('flowmesh.call', :call, true);

-- name: revoke-sessions-of(user_id, except_id, call)
update sessions set revoked_at = now()
where user_id = :user_id and revoked_at is null and id <> :except_id
returning id, set_config('flowmesh.call', :call, true);

-- name: insert-refresh-token(digest, session, days)!
insert into refresh_tokens (digest, session, expires_at)
values (:digest, :session, now() + make_interval(days => :days))
on conflict (digest) do nothing;

-- name: lock-refresh-token(digest, successor, grace_s)^
-- A token is reused if it was used longer ago than a lost answer explains, or its successor was
-- used.
select r.session, s.user_id,
    coalesce(r.used_at < now() - make_interval(secs => :grace_s), false) or exists (
        select from refresh_tokens n where n.digest = :successor and n.used_at is not null
    ) as reused
from refresh_tokens r join sessions s on s.id = r.session join users u on u.id = s.user_id
where r.digest = :digest and r.expires_at > now() and s.revoked_at is null and not u.disabled
for update of r;

-- name: use-refresh-token(digest)!
update refresh_tokens set used_at = coalesce(used_at, now()) where digest = :digest;

-- name: delete-expired-sessions(count)$
with gone as (
    delete from refresh_tokens where digest in (
        select digest from refresh_tokens where expires_at < now() limit :count
    ) returning session
), ended as (
    delete from sessions s
    where s.id in (select session from gone)
        and not exists (
            select from refresh_tokens r where r.session = s.id and r.expires_at >= now()
        )
)
select count(*) from gone;

-- name: signing-keys(kept_s, known_s)
-- The key to sign with first: the newest that every process has read, otherwise the oldest.
select kid, public_key, sealed_key, not_after > now() as signs,
    not_after < now() + make_interval(days => 1) as ends_soon
from signing_keys,
    lateral (select created_at < now() - make_interval(secs => :known_s) as known) as read
where not_after > now() - make_interval(secs => :kept_s)
order by known desc, case when known then created_at end desc, created_at;

-- name: insert-signing-key(kid, public_key, sealed_key, days)!
insert into signing_keys (kid, public_key, sealed_key, not_after)
values (:kid, :public_key, :sealed_key, now() + make_interval(days => :days));

-- name: lock-signing-keys()!
select pg_advisory_xact_lock(hashtextextended('flowmesh.identity.signing_keys', 0));
