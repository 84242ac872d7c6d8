-- A token and this salt make the token that replaces it: two requests at once get the same one, and still only digests are kept.
alter table refresh_tokens add column salt text;
