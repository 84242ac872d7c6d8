-- online: carts are as many as customers; only guests' are looked for by their age.
create index if not exists carts_guests on carts (changed_at) where customer_id is null;
