-- name: begin-content(project)$
insert into file_contents (project) values (:project) returning id;

-- name: insert-piece(content, number, data)!
-- seals data of namespace at file {content}/{number}
insert into file_pieces (content, number, data) values (:content, :number, :data);

-- name: lock-files(project)$
-- One change of a project's files at a time; returns the bytes in use.
insert into file_usage (project) values (:project)
on conflict (project) do update set used_bytes = file_usage.used_bytes
returning used_bytes;

-- name: used-bytes(project)$
select used_bytes from file_usage where project = :project;

-- name: add-used-bytes(project, size_bytes)!
update file_usage set used_bytes = used_bytes + :size_bytes where project = :project;

-- name: content-of-digest(project, digest)$
select id from file_contents where project = :project and digest = :digest;

-- name: finish-content(id, digest, size_bytes)!
update file_contents set digest = :digest, size_bytes = :size_bytes where id = :id;

-- name: delete-unfinished(id)!
delete from file_contents where id = :id and digest is null;

-- name: delete-abandoned(seconds)!
delete from file_contents
where digest is null and created_at < now() - make_interval(secs => :seconds);

-- name: insert-file(project, path, twin, least)$
insert into files (project, path, twin, version)
values (:project, :path, :twin, greatest(1, :least::int))
on conflict do nothing
returning version;

-- name: next-version(project, path, least)$
update files set version = greatest(version + 1, :least::int)
where project = :project and path = :path
returning version;

-- name: twin(project, twin)$
select path from files where project = :project and twin = :twin;

-- name: insert-version(project, path, version, content, media_type, created_by, call)!
insert into file_versions (project, path, version, content, media_type, created_by)
values (:project, :path, :version, :content, :media_type, :created_by)
returning set_config('flowmesh.call', :call, true);

-- name: file(project, path, version)^
-- Version 0 is the newest.
select v.*, c.digest, c.size_bytes from file_versions v
join files f on f.project = v.project and f.path = v.path
join file_contents c on c.id = v.content
where v.project = :project and v.path = :path
    and v.version = coalesce(nullif(:version::int, 0), f.version);

-- name: files(project, prefix, end, after, count)
-- The newest versions; `end` is greater than every path with the prefix.
select v.*, c.digest, c.size_bytes from files f
join file_versions v on v.project = f.project and v.path = f.path and v.version = f.version
join file_contents c on c.id = v.content
where f.project = :project and f.path >= :prefix and f.path < :end and f.path > :after
order by f.path
limit :count;

-- name: piece(content, number)$
-- opens data at file {content}/{number}
select data from file_pieces where content = :content and number = :number;

-- name: delete-versions(project, path, before, call)
-- Returns the contents of versions before one.
delete from file_versions where project = :project and path = :path and version < :before
returning content, set_config('flowmesh.call', :call, true);

-- name: delete-file(project, path)!
delete from files where project = :project and path = :path;

-- name: delete-unused(contents)
delete from file_contents
where id = any (:contents::bigint[])
    and not exists (select from file_versions v where v.content = file_contents.id)
returning size_bytes;
