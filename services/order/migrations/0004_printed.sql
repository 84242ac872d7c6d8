-- When the kitchen's ticket was handed out.
alter table orders add column printed_at bigint;
