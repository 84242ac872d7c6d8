-- Keys that sign tokens, shared by all processes of auth: private ones, sealed with --keys-secret. Of two processes that make the next
-- key at once only one takes its turn. Without a secret the keys are files, and a row only says when their process was last there.
create table signing_keys (
    kid uuid primary key,
    turn bigint,
    sealed text,
    made_at bigint not null,
    seen_at bigint not null
);
create unique index signing_keys_turn on signing_keys (turn);
