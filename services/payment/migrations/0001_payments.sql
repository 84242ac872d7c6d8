-- Payments, refunds and their double-entry ledger. Times are UTC microseconds, money is whole won.
create table payments (
    payment_id uuid primary key,
    order_id uuid not null,
    customer_id uuid not null,
    store_id uuid not null,
    order_name text not null,
    payment_key text not null unique,  -- the provider's name of it
    amount_won bigint not null check (amount_won > 0),
    refunded_won bigint not null default 0 check (refunded_won between 0 and amount_won),
    status text not null check (status in
        ('CONFIRMING', 'CAPTURED', 'FAILED', 'REFUNDING', 'REFUNDED', 'PARTIALLY_REFUNDED')),
    is_late bigint not null default 0, -- captured for an order that was dead by then
    provider_code text,
    provider_message text,
    method text,
    card_company text,
    card_last4 text,
    receipt_url text,
    approved_at bigint,
    created_at bigint not null,
    changed_at bigint not null
);
-- At most one live payment per order.
create unique index payments_live on payments (order_id) where status <> 'FAILED' and is_late = 0;
create index payments_order on payments (order_id);
create index payments_customer on payments (customer_id, created_at, payment_id);
create index payments_store on payments (store_id, created_at, payment_id);

create table refunds (
    refund_id uuid primary key,
    payment_id uuid not null references payments (payment_id),
    order_id uuid not null,
    amount_won bigint not null check (amount_won > 0),
    reason text not null,
    payer text not null check (payer in ('store', 'platform')),
    status text not null check (status in ('REQUESTED', 'DONE')),
    cause text not null unique,        -- what asked for it: the same cause never refunds twice
    transaction_key text unique,       -- the provider's name of it
    provider_code text,
    created_at bigint not null,
    done_at bigint
);
create index refunds_payment on refunds (payment_id, created_at);

-- Append only. The entries of one transaction sum to zero.
create table ledger (
    entry_id uuid primary key,
    transaction_id uuid not null,      -- the payment or the refund
    account text not null check (account in ('provider', 'customer')),
    amount_won bigint not null,
    order_id uuid not null,
    at bigint not null,
    unique (transaction_id, account)
);

-- Whose store it is, as the store service said last.
create table store_owners (
    store_id uuid primary key,
    owner_id uuid not null
);
