-- The user on whose rights those of a key depend: its maker, or that of the key that made it.
alter table api_keys add column maker text;
-- The application whose key it is.
alter table api_keys add column app text collate "C";

with recursive made as (
    select id, created_by as maker from api_keys
    union
    select made.id, api_keys.created_by from made join api_keys on api_keys.id = made.maker
)
update api_keys set maker = made.maker from made
where made.id = api_keys.id and made.maker not in (select id from api_keys);

update api_keys set maker = created_by where maker is null;
alter table api_keys alter column maker set not null;
create unique index api_keys_app on api_keys (project, app);
