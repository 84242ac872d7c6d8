-- Customers who have withdrawn while an order of theirs was still under way; it forgets them when it has ended.
create table withdrawn (
    customer_id uuid primary key,
    at bigint not null
);
