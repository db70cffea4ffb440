/*
 * crowd.c - a neighbour for test/tap/neighbours.pl: a library that takes the callback slots that a big extension
 * takes, and a function of C that puts its argument into an internal error, as careless ones do.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/syscache.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(crowd_shout);
void _PG_init(void);

static void relation_changed(Datum argument, Oid relid) {}
static void catalog_changed(Datum argument, int cache, uint32 hash) {}

void
_PG_init(void)
{
	for (int i = 0; i < 5; i++)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	/* PostgreSQL 18 takes more of the 64 itself. */
	for (int i = 0; i < (PG_VERSION_NUM >= 180000 ? 10 : 30); i++)
		CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
}

Datum
crowd_shout(PG_FUNCTION_ARGS)
{
	elog(ERROR, "bad value %s", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_NULL();
}
