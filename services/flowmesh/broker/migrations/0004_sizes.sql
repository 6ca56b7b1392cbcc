-- The numbers of rows of a namespace, so that a declaration counts none.
alter table namespaces
    add column exchanges integer not null default 0,
    add column queues integer not null default 0,
    add column bindings integer not null default 0;

update namespaces as own set
    exchanges = (select count(*) from exchanges where namespace = own.namespace),
    queues = (select count(*) from queues where namespace = own.namespace),
    bindings = (select count(*) from bindings where namespace = own.namespace);

-- Adds the changed rows to the column of their table; the argument is 1 or -1.
create function count_rows() returns trigger language plpgsql set search_path from current as $$
begin
    execute format(
        'update namespaces as own set %1$I = own.%1$I + changed.rows from ('
        '    select namespace, %2$s * count(*) as rows from changed_rows group by namespace'
        ') as changed where own.namespace = changed.namespace',
        tg_table_name, tg_argv[0]);
    return null;
end $$;

create trigger count_added after insert on exchanges referencing new table as changed_rows
    for each statement execute function count_rows('1');
create trigger count_removed after delete on exchanges referencing old table as changed_rows
    for each statement execute function count_rows('-1');

create trigger count_added after insert on queues referencing new table as changed_rows
    for each statement execute function count_rows('1');
create trigger count_removed after delete on queues referencing old table as changed_rows
    for each statement execute function count_rows('-1');

create trigger count_added after insert on bindings referencing new table as changed_rows
    for each statement execute function count_rows('1');
create trigger count_removed after delete on bindings referencing old table as changed_rows
    for each statement execute function count_rows('-1');
