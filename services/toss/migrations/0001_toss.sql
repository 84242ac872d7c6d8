-- The simulator's own books: what it authorised, captured and gave back, independent of ours.
create table payments (
    payment_id uuid primary key,
    payment_key text not null unique,
    order_id text not null,
    order_uuid uuid,                 -- the same, when it is one
    order_name text not null,
    amount bigint not null check (amount > 0),
    balance bigint not null check (balance between 0 and amount),
    status text not null check (status in
        ('IN_PROGRESS', 'DONE', 'ABORTED', 'EXPIRED', 'CANCELED', 'PARTIAL_CANCELED')),
    outcome text not null,           -- what the customer chose in the window
    code text,
    message text,
    approved_at bigint,
    created_at bigint not null
);
create index payments_order on payments (order_id, created_at);

create table cancels (
    transaction_key text primary key,
    payment_id uuid not null references payments (payment_id),
    amount bigint not null check (amount > 0),
    reason text not null,
    canceled_at bigint not null
);
create index cancels_payment on cancels (payment_id, canceled_at);

-- Scope as Toss has it: key, API key, URL and method; the body is not part of it. Kept for 15 days.
create table keys (
    scope text primary key,
    status bigint not null,
    body text not null,
    created_at bigint not null
);
create index keys_age on keys (created_at);

create table webhooks (
    webhook_id uuid primary key,
    payment_key text not null,
    body text not null,
    created_at bigint not null
);

create table faults (
    name text primary key,
    number bigint not null,
    text text
);
