-- contract: no query of any version used it, and it changed with every step of an order.
-- Without it a step changes no indexed column, so that PostgreSQL need not touch the others either.
drop index orders_live;
