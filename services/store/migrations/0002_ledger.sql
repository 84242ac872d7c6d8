-- How far an item's movements are proven: their sums before `upto`, and the counts that agreed then.
create table stock_checked (
    menu_item_id uuid primary key references menu_items (menu_item_id),
    version bigint not null,        -- of the inventory row that was checked
    upto bigint not null,           -- movements before this are in the sums
    available bigint not null,
    reserved bigint not null,
    sold bigint not null,
    seen_available bigint not null,
    seen_reserved bigint not null,
    seen_sold bigint not null
);
