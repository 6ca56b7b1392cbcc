-- Upper bounds of the quotas that a project sets itself, by a role on its organization or above;
-- 0 is unlimited. Of the quotas from before it is not known who set them, so they are the bounds.
create table quota_ceilings (
    project text primary key references projects on delete cascade,
    starts_per_second bigint not null,
    running_executions bigint not null,
    executions_per_day bigint not null,
    definitions bigint not null,
    file_bytes bigint not null,
    api_keys bigint not null
);

insert into quota_ceilings
select project, starts_per_second, running_executions, executions_per_day, definitions,
    file_bytes, api_keys
from quotas;
