-- online: payments are many, and only the frozen ones are looked for.
create index if not exists payments_frozen on payments (frozen_at) where frozen_at is not null;
