-- Metered use per hour. `source` is the incarnation that committed it, or what another service has
-- measured; old hours are folded into the source ''.
create table meters (
    source text collate "C" not null,
    namespace text collate "C" not null,
    -- Hours since 1970.
    hour int not null,
    executions bigint not null default 0,
    tasks bigint not null default 0,
    tokens bigint not null default 0,
    bytes bigint not null default 0,
    agent_seconds bigint not null default 0,
    primary key (source, namespace, hour)
) with (fillfactor = 50);
create index meters_by_namespace on meters (namespace, hour);
create index meters_by_hour on meters (hour) where source <> '';
