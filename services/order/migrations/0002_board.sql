-- Boards, and money that came too late.
-- What a store's live board was told, in commit order. n is the SSE id of the store's stream; a ring of the last rows.
create table board_events (
    store_id uuid not null,
    n bigint not null,
    kind text not null,        -- status, waiting, overdue
    order_id uuid not null,
    history_n bigint not null, -- the step; for a reminder the last one before it
    at bigint not null,
    primary key (store_id, n)
);

-- Part of captured_won: captured after its payment had been given up. It goes back and never pays for the order.
alter table orders add column late_won bigint not null default 0;
