-- Carts, orders, their histories, and this service's own copy of stores and menus. Times are UTC microseconds.
create table store_copies (
    store_id uuid primary key,
    owner_id uuid not null,
    name text not null,
    category text not null,
    is_banned bigint not null default 0,
    deleted bigint not null default 0,
    paused_until bigint not null default 0,
    minimum_order_won bigint not null,
    delivery_fee_won bigint not null,
    latitude bigint not null,  -- millionths of a degree
    longitude bigint not null,
    radius_m bigint not null,
    hours text not null        -- JSON list, as in store.changed
);

create table menu_copies (
    menu_item_id uuid primary key,
    store_id uuid not null,
    name text not null,
    price_won bigint not null,
    sold_out bigint not null,
    deleted bigint not null,
    option_groups text not null, -- JSON list, as in store.menu.changed
    version bigint not null
);
create index menu_copies_store on menu_copies (store_id);

create table carts (
    cart_id uuid primary key,
    customer_id uuid unique,   -- null: a guest's
    token_hash text unique,    -- SHA-256 of the guest's token, hex
    store_id uuid,             -- null: empty
    notice text,               -- code of what happened to it since it was last shown
    changed_at bigint not null
);
create index carts_changed on carts (changed_at);

create table cart_items (
    cart_item_id uuid primary key,
    cart_id uuid not null references carts (cart_id) on delete cascade,
    menu_item_id uuid not null,
    option_key text not null,  -- chosen option ids, sorted, joined by ','
    quantity bigint not null check (quantity between 1 and 99),
    added_at bigint not null,
    unique (cart_id, menu_item_id, option_key)
);

create table orders (
    order_id uuid primary key,
    number text not null unique, -- short, for people: date and five characters
    customer_id uuid not null,
    store_id uuid not null,
    owner_id uuid not null,
    store_name text not null,
    status text not null,
    items_won bigint not null check (items_won >= 0),
    delivery_fee_won bigint not null check (delivery_fee_won >= 0),
    total_won bigint not null check (total_won >= 0),
    captured_won bigint not null default 0 check (captured_won >= 0),
    refunded_won bigint not null default 0 check (refunded_won between 0 and captured_won),
    payment_id uuid,             -- the payment that pinned it last
    cancel_requested bigint not null default 0,
    stock_back bigint not null default 0, -- nothing is held or sold any more
    address text not null,       -- JSON, as it was when ordered
    request_message text,
    cart_id uuid not null,
    request_key text unique,     -- customer and Idempotency-Key: the same request never orders twice
    reserve_by bigint,           -- STOCK_PENDING ends
    expires_at bigint,           -- AWAITING_PAYMENT ends
    accept_by bigint,            -- PAID without an answer of the owner ends
    eta_at bigint,
    history_n bigint not null default 0, -- also the version
    created_at bigint not null,
    changed_at bigint not null
);
create index orders_customer on orders (customer_id, created_at, order_id);
create index orders_store on orders (store_id, created_at, order_id);
create index orders_live on orders (status, changed_at)
    where status not in ('COMPLETED', 'CANCELLED', 'EXPIRED', 'REJECTED', 'PAYMENT_FAILED');

create table order_lines (
    order_id uuid not null references orders (order_id),
    line_no bigint not null,
    line_id uuid not null,
    menu_item_id uuid not null,
    name text not null,
    options text not null,       -- JSON list of {optionId, name, priceWon}
    quantity bigint not null check (quantity between 1 and 99),
    unit_price_won bigint not null check (unit_price_won >= 0),
    line_total_won bigint not null,
    primary key (order_id, line_no),
    check (line_total_won = quantity * unit_price_won)
);

-- Every step of the saga. n is the SSE id; facts make it replayable.
create table order_history (
    order_id uuid not null references orders (order_id),
    n bigint not null,
    event text not null,
    from_status text not null,
    status text not null,
    facts bigint not null,
    by_role bigint not null,
    by_id uuid,
    reason text,
    trace_id text,
    at bigint not null,
    primary key (order_id, n)
);
