-- Workspace files. A content is stored once per project, in pieces of 1 MiB.
create table file_contents (
    id bigint generated always as identity primary key,
    project text not null references projects on delete cascade,
    -- Null while the upload runs.
    digest bytea,
    size_bytes bigint not null default 0,
    created_at timestamptz not null default now()
);
create unique index file_contents_digest on file_contents (project, digest);
create index file_contents_unfinished on file_contents (created_at) where digest is null;

create table file_pieces (
    content bigint not null references file_contents on delete cascade,
    number int not null,
    data bytea not null,
    primary key (content, number)
);
alter table file_pieces alter column data set storage external;

create table files (
    project text not null references projects on delete cascade,
    path text collate "C" not null,
    -- Digest of the path without case and compatibility forms.
    twin bytea not null,
    -- The newest version.
    version int not null default 1,
    primary key (project, path)
);
create unique index files_twin on files (project, twin);

create table file_versions (
    project text not null,
    path text collate "C" not null,
    version int not null,
    content bigint not null references file_contents,
    media_type text not null,
    created_by text not null,
    created_at timestamptz not null default now(),
    primary key (project, path, version),
    foreign key (project, path) references files on delete cascade
);
create index file_versions_content on file_versions (content);

-- Bytes of the contents of a project; its row is locked by each change of files.
create table file_usage (
    project text primary key references projects on delete cascade,
    used_bytes bigint not null default 0
);
