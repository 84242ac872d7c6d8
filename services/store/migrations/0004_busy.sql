-- Minutes that a store with much to do takes longer than usual.
alter table stores add column busy_minutes bigint not null default 0;
