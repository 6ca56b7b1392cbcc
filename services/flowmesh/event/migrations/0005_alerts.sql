-- Notifications of alerts are delivered as callbacks are; their execution is the id of the alert.
alter table deliveries drop constraint deliveries_kind_check;
alter table deliveries add constraint deliveries_kind_check
    check (kind in ('onComplete', 'onFailure', 'onStep', 'alert'));
