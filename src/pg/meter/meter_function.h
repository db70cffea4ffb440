// meter_function.h - the meter inside a plan: redoubt.meter(anyelement, internal).
//
// The function returns its first argument and charges for it, exactly where and when
// the value is handed over and in whichever process that is.  Only the planner hook puts
// calls of it into plans; nobody else can call it, because nobody can make its second argument.
#ifndef REDOUBT_PG_METER_METER_FUNCTION_H
#define REDOUBT_PG_METER_METER_FUNCTION_H

#include "pg/plan/meter_node.h"
#include "pg/meter/query_meter.h"

namespace redoubt::pg {

// meter_each_charge calls `visit` with what the meters whose state is in `context` (the
// query's) have charged in this process.
void meter_each_charge(MemoryContext context, VisitCharge visit, void *to);

// meter_refund_query gives back what meters whose state is in `context` (the query's)
// hold ahead.  Atomics only.
void meter_refund_query(MemoryContext context) noexcept;

// meters_give_back: leases_give_back, of what meters inside plans have leased.
bool meters_give_back(Oid token_type, Operation operation) noexcept;

}  // namespace redoubt::pg
#endif
