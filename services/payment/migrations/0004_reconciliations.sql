-- Comparisons of our books with the provider's: what was looked at, and what did not agree.
create table reconciliations (
    reconciliation_id uuid primary key,
    from_at bigint not null,
    to_at bigint not null,
    at bigint not null,
    by_id uuid,                        -- the operator who asked; null: by itself
    captures bigint not null,          -- of the provider in that time
    refunds bigint not null,
    difference_count bigint not null,
    unasked bigint not null,           -- only here, and the provider was not asked about them
    differences text not null          -- JSON list of the first hundred
);
create index reconciliations_at on reconciliations (at, reconciliation_id);
create index reconciliations_until on reconciliations (to_at) where by_id is null;
