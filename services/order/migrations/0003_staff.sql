-- Who works in a store beside its owner, fed by store.staff.changed. permissions: 1 orders, 2 menu, 4 stock, 8 reviews.
create table staff_copies (
    store_id uuid not null,
    user_id uuid not null,
    permissions bigint not null,
    primary key (store_id, user_id)
);
