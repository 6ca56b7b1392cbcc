-- The plugins whose module types the serving release of an application has.
create table plugins (
    plugin text collate "C" not null,
    namespace text not null,
    app text collate "C" not null,
    primary key (plugin, namespace, app),
    foreign key (namespace, app) references apps on delete cascade
);
create index plugins_app on plugins (namespace, app);
