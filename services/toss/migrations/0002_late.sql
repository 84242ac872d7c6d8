-- A capture under way: nobody sees the payment until it is done, by itself.
alter table payments add column late_at bigint;   -- asked for; null when nothing is under way
alter table payments add column late_scope text;  -- the key under which its answer is then kept
