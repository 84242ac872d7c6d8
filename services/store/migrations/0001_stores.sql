-- Stores, hours, menus, stock. Times are UTC microseconds, coordinates millionths of a degree.
create table categories (
    category text primary key,
    name text not null,
    name_en text not null,
    position bigint not null
);
insert into categories (category, name, name_en, position) values
    ('chicken', '치킨', 'Chicken', 1),
    ('pizza', '피자', 'Pizza', 2),
    ('korean', '한식', 'Korean', 3),
    ('chinese', '중식', 'Chinese', 4),
    ('japanese', '일식', 'Japanese', 5),
    ('bunsik', '분식', 'Snacks', 6),
    ('burger', '버거', 'Burgers', 7),
    ('cafe', '카페·디저트', 'Cafe and dessert', 8);

create table stores (
    store_id uuid primary key,
    owner_id uuid not null,
    name text not null,
    category text not null references categories (category),
    description text not null,
    phone text not null,
    address text not null,
    zip_code text not null,
    region_code text not null,
    business_number text not null,
    photo_url text,
    notice text not null,
    origin text not null,
    latitude bigint not null,
    longitude bigint not null,
    radius_m bigint not null check (radius_m between 0 and 20000),
    minimum_order_won bigint not null check (minimum_order_won >= 0),
    delivery_fee_won bigint not null check (delivery_fee_won >= 0),
    cook_minutes bigint not null,
    is_banned bigint not null default 0,
    deleted_at bigint,
    paused_until bigint not null default 0,
    pause_reason text,
    rating_sum bigint not null default 0,
    rating_count bigint not null default 0,
    rating_rank bigint not null default 0, -- minus the average times 100: best first when ascending
    created_rank bigint not null,          -- minus created_at: newest first when ascending
    search_text text not null,
    menu_version bigint not null default 1,
    version bigint not null default 1,
    created_at bigint not null
);
create index stores_owner on stores (owner_id, store_id);
create index stores_rating on stores (rating_rank, store_id);
create index stores_fee on stores (delivery_fee_won, store_id);
create index stores_new on stores (created_rank, store_id);
create index stores_latitude on stores (latitude);

-- closes_abs, break_*_abs: minutes since the weekday's midnight, above 1440 when it is past midnight.
create table store_hours (
    store_id uuid not null references stores (store_id),
    weekday bigint not null check (weekday between 0 and 6),
    opens bigint not null,
    closes bigint not null,
    break_from bigint,
    break_to bigint,
    closes_abs bigint not null,
    break_from_abs bigint not null default -1,
    break_to_abs bigint not null default -1,
    primary key (store_id, weekday)
);

-- permissions: 1 orders, 2 menu, 4 stock, 8 reviews
create table store_staff (
    store_id uuid not null references stores (store_id),
    user_id uuid not null,
    permissions bigint not null,
    primary key (store_id, user_id)
);
create index store_staff_user on store_staff (user_id);

create table sections (
    section_id uuid primary key,
    store_id uuid not null references stores (store_id),
    name text not null,
    position bigint not null,
    deleted_at bigint
);
create index sections_store on sections (store_id);

create table menu_items (
    menu_item_id uuid primary key,
    store_id uuid not null references stores (store_id),
    section_id uuid not null references sections (section_id),
    name text not null,
    description text not null,
    price_won bigint not null check (price_won >= 0),
    photo_url text,
    allergens text not null,
    origin text not null,
    sold_out bigint not null default 0,
    position bigint not null,
    version bigint not null default 1,
    deleted_at bigint
);
create index menu_items_store on menu_items (store_id);
create index menu_items_section on menu_items (section_id);

create table option_groups (
    option_group_id uuid primary key,
    store_id uuid not null references stores (store_id),
    menu_item_id uuid not null references menu_items (menu_item_id),
    name text not null,
    min bigint not null check (min >= 0),
    max bigint not null check (max >= min),
    position bigint not null,
    version bigint not null default 1
);
create index option_groups_store on option_groups (store_id);
create index option_groups_item on option_groups (menu_item_id);

create table options (
    option_id uuid primary key,
    store_id uuid not null references stores (store_id),
    option_group_id uuid not null references option_groups (option_group_id),
    name text not null,
    price_won bigint not null check (price_won >= 0),
    sold_out bigint not null default 0,
    position bigint not null
);
create index options_store on options (store_id);
create index options_group on options (option_group_id);

create table inventory (
    menu_item_id uuid primary key references menu_items (menu_item_id),
    store_id uuid not null,
    infinite bigint not null check (infinite in (0, 1)),
    available bigint not null check (available >= 0),
    reserved bigint not null check (reserved >= 0),
    sold bigint not null check (sold >= 0),
    version bigint not null default 1
);

-- A reservation without lines in state RELEASED is a tombstone: the release came before the request.
create table reservations (
    reservation_id uuid primary key,
    order_id uuid not null unique,
    store_id uuid,
    state text not null check (state in ('HELD', 'SOLD', 'RELEASED', 'RETURNED')),
    created_at bigint not null,
    changed_at bigint not null
);
create index reservations_held on reservations (created_at) where state = 'HELD';

-- is_counted 0: the item had no count when it was reserved, so nothing moves in inventory.
create table reservation_lines (
    reservation_id uuid not null references reservations (reservation_id),
    menu_item_id uuid not null references menu_items (menu_item_id),
    quantity bigint not null check (quantity > 0),
    is_counted bigint not null,
    primary key (reservation_id, menu_item_id)
);

-- Append only. Replaying the deltas gives inventory.
create table stock_movements (
    movement_id uuid primary key,
    menu_item_id uuid not null references menu_items (menu_item_id),
    reservation_id uuid,
    kind text not null check (kind in ('RESERVE', 'SELL', 'RELEASE', 'RETURN', 'ADJUST')),
    available_delta bigint not null,
    reserved_delta bigint not null,
    sold_delta bigint not null,
    reason text,
    actor_id uuid,
    moved_at bigint not null,
    unique (reservation_id, menu_item_id, kind)
);
create index stock_movements_item on stock_movements (menu_item_id, moved_at);
