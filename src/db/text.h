/*
 * text.h -- a number in the text of a statement, for the limit of a select.
 *
 * PostgreSQL plans without arguments. It would take a limit that is one for a tenth of the table,
 * and read all of that from end to end.
 */
#pragma once

#define DB_TEXT_(number) #number
#define DB_TEXT(number) DB_TEXT_(number)
