-- A capture that is not what was agreed: given back, and frozen until a person has looked at its order.
-- amount_won is then what was captured.
alter table payments add column asked_won bigint;    -- what was agreed
alter table payments add column wrong_won bigint;    -- what look-ups said was captured instead
alter table payments add column wrong_looks bigint not null default 0;
alter table payments add column frozen_at bigint;
alter table payments add column reviewed_at bigint;
