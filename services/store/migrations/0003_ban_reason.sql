-- Why an operator took the store out of sight; the owner sees it.
alter table stores add column ban_reason text;
