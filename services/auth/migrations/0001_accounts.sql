-- Accounts, their sessions (refresh token families) and wrong guesses.

create table accounts (
    account_id uuid primary key,
    username text not null,
    email text not null,
    password_hash text not null,
    name text not null,
    birth_date text,
    role text not null check (role in ('customer', 'owner', 'staff', 'admin')),
    version bigint not null default 1,
    created_at bigint not null,
    updated_at bigint not null,
    banned_at bigint,
    ban_reason text,
    withdrawn_at bigint
);
create unique index accounts_username on accounts (username);
create unique index accounts_email on accounts (email);
create index accounts_created on accounts (created_at, account_id);

-- One per login. Its refresh tokens form one family: when an old one turns up again, all of it ends.
create table sessions (
    session_id uuid primary key,
    account_id uuid not null references accounts (account_id),
    created_at bigint not null,
    expires_at bigint not null,
    revoked_at bigint
);
create index sessions_account on sessions (account_id, created_at);
create index sessions_expires on sessions (expires_at);
create index sessions_revoked on sessions (revoked_at);

-- Only digests: whoever reads this table cannot log in with it.
create table refresh_tokens (
    token_hash text primary key,
    session_id uuid not null references sessions (session_id),
    expires_at bigint not null,
    used_at bigint
);
create index refresh_tokens_session on refresh_tokens (session_id);
create index refresh_tokens_expires on refresh_tokens (expires_at);

-- Wrong guesses per account and client address; subject is a digest of both.
create table login_attempts (
    subject text primary key,
    wrong bigint not null,
    since bigint not null,
    locked_until bigint not null
);
create index login_attempts_since on login_attempts (since);
