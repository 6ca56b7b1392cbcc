-- Time at which the application was last sealed for another cell; its change is audited.
alter table apps add column exported_at timestamptz;
