-- contract: carts_guests serves the one query that used it, of the version before as well.
drop index carts_changed;
