-- Schema `flowmesh` of a database of users: requests to Flowmesh, written in the caller's
-- transaction. A relay of Flowmesh makes them after the commit. `flowmesh outbox install` runs this
-- file; repeating it changes nothing.
create schema if not exists flowmesh;

create table if not exists flowmesh.outbox (
    id bigint generated always as identity primary key,
    kind text not null check (kind in ('start', 'signal', 'publish')),
    namespace text not null,
    -- The workflow, the execution, or the type of the event.
    target text not null,
    -- The name of the signal, or the source of the event.
    name text not null default '',
    body jsonb not null,
    request_id text not null,
    created_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    due_at timestamptz not null default clock_timestamp()
);
create index if not exists outbox_due on flowmesh.outbox (due_at, id);

-- Requests that Flowmesh refused, with the reason.
create table if not exists flowmesh.refused (
    id bigint primary key,
    kind text not null,
    namespace text not null,
    target text not null,
    name text not null,
    body jsonb not null,
    request_id text not null,
    created_at timestamptz not null,
    reason text not null,
    message text not null,
    refused_at timestamptz not null default clock_timestamp()
);

revoke all on schema flowmesh from public;
revoke all on flowmesh.outbox, flowmesh.refused from public;

create or replace function flowmesh.enqueue(
    kind text, target text, name text, body jsonb, request_id text, namespace text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    id_form constant text := '^[A-Za-z0-9._:-]{1,128}$';
    chosen text := coalesce(request_id, gen_random_uuid()::text);
begin
    if target is null or target !~ id_form then
        raise exception 'flowmesh: % is no id: expected [A-Za-z0-9._:-], 1 to 128 characters',
            quote_nullable(left(target, 150)) using errcode = 'invalid_parameter_value';
    end if;
    if namespace is null or namespace !~ id_form then
        raise exception 'flowmesh: % is no namespace', quote_nullable(left(namespace, 150))
            using errcode = 'invalid_parameter_value';
    end if;
    if chosen !~ id_form then
        raise exception
            'flowmesh: % is no request id: expected [A-Za-z0-9._:-], 1 to 128 characters',
            quote_nullable(left(chosen, 150)) using errcode = 'invalid_parameter_value';
    end if;
    if octet_length(coalesce(body, 'null')::text) > 262144 then
        raise exception 'flowmesh: the body has % bytes; at most 262144 are allowed',
            octet_length(body::text) using errcode = 'program_limit_exceeded',
            hint = 'store the value with PUT /api/v1/payloads and pass its reference';
    end if;
    insert into flowmesh.outbox (kind, namespace, target, name, body, request_id)
    values (kind, namespace, target, name, coalesce(body, 'null'), chosen);
    perform pg_notify('flowmesh_outbox', '');
    return chosen;
end $$;
revoke all on function flowmesh.enqueue(text, text, text, jsonb, text, text) from public;

-- Starts a workflow once the transaction commits; returns the request id.
create or replace function flowmesh.start(
    workflow text, input jsonb default '{}', request_id text default null,
    namespace text default 'default'
) returns text
language sql security definer set search_path = pg_catalog, pg_temp as $$
    select flowmesh.enqueue('start', workflow, '', input, request_id, namespace)
$$;

-- Sends a signal to an execution once the transaction commits; returns the request id.
create or replace function flowmesh.signal(
    execution text, name text, payload jsonb default 'null', request_id text default null,
    namespace text default 'default'
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if name is null or length(name) not between 1 and 128 then
        raise exception 'flowmesh: a signal has a name of 1 to 128 characters'
            using errcode = 'invalid_parameter_value';
    end if;
    return flowmesh.enqueue('signal', execution, name, payload, request_id, namespace);
end $$;

-- Publishes an event once the transaction commits; returns its id.
create or replace function flowmesh.publish(
    type text, data jsonb default 'null', source text default 'database',
    event_id text default null, namespace text default 'default'
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if source is null or length(source) not between 1 and 256 then
        raise exception 'flowmesh: an event has a source of 1 to 256 characters'
            using errcode = 'invalid_parameter_value';
    end if;
    return flowmesh.enqueue('publish', type, source, data, event_id, namespace);
end $$;

revoke all on function flowmesh.start(text, jsonb, text, text) from public;
revoke all on function flowmesh.signal(text, text, jsonb, text, text) from public;
revoke all on function flowmesh.publish(text, jsonb, text, text, text) from public;
