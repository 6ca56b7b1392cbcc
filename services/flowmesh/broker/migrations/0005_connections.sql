-- The newest connection of a consumer; an older one that ends leaves its lease.
alter table consumers add column connection uuid not null default gen_random_uuid();
