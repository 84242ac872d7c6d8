-- Delivery addresses and favourites. People themselves live in the auth service.

-- One row per user who has (had) an address: counting in one statement also takes its lock.
create table address_books (
    user_id uuid primary key,
    addresses bigint not null check (addresses >= 0 and addresses <= 20)
);

create table addresses (
    address_id uuid primary key,
    user_id uuid not null references address_books (user_id),
    label text not null,
    recipient text,
    phone text,
    address1 text not null,
    address2 text,
    zip_code text not null,
    latitude bigint not null,
    longitude bigint not null,
    region_code text,
    is_default bigint not null check (is_default in (0, 1)),
    version bigint not null default 1,
    created_at bigint not null,
    updated_at bigint not null
);
create index addresses_user on addresses (user_id, created_at);
create unique index addresses_default on addresses (user_id) where is_default = 1;

create table favorites (
    user_id uuid not null,
    store_id uuid not null,
    created_at bigint not null,
    primary key (user_id, store_id)
);
create index favorites_user on favorites (user_id, created_at);
