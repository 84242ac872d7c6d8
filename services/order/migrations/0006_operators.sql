-- What operators did, for good: an event of it leaves the outbox and the bus after a while.
create table operator_acts (
    act_id uuid primary key,
    by_id uuid not null,
    what text not null,
    order_id uuid,
    subject text,
    reason text,
    at bigint not null
);
create index operator_acts_by on operator_acts (by_id, at);
create index operator_acts_order on operator_acts (order_id) where order_id is not null;
