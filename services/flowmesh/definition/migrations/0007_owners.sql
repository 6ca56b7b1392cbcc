-- Systems outside that manage definitions. Without a row anybody with the right may change them.
create table owners (
    namespace text collate "C" not null,
    kind      text             not null,
    name      text collate "C" not null,
    owner     text             not null check (owner <> ''),
    since     timestamptz      not null default now(),
    primary key (namespace, kind, name)
);
