-- A saved dashboard of a namespace: its document as it was saved, and read as a message.
create table dashboards (
    namespace text not null,
    name text not null,
    document text not null,
    body bytea not null,
    primary key (namespace, name)
);

create trigger audit after insert or update or delete on dashboards
    for each row execute function note_change('name');
