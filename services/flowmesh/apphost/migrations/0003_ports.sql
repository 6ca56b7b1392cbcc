-- The ports of the servers of applications: each is of one application until a release of its own
-- no longer has the server, or the application is deleted.
create table ports (
    port int primary key,
    namespace text not null,
    app text collate "C" not null,
    server text not null,
    unique (namespace, app, server),
    foreign key (namespace, app) references apps on delete cascade
);

insert into ports (port, namespace, app, server)
select substring(address ->> 1 from '[0-9]+$')::int, namespace, app, address ->> 0
from apps, json_array_elements(addresses) as address
on conflict do nothing;
