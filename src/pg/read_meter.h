// read_meter.h - charges what a query discloses: rows that leave, probes, errors.
//
// What leaves in the middle of a plan is charged by meter_function.h.
#ifndef REDOUBT_PG_READ_METER_H
#define REDOUBT_PG_READ_METER_H

#include "pg/boundary.h"

#include "pg/delivery.h"
#include "pg/limits.h"
#include "pg/plan_cache.h"

namespace redoubt::pg {

struct QueryMeter;  // of one executor run of a plan that touches protected columns

inline constinit QueryMeter *query_meters = nullptr;  // of this backend, innermost first

// query_meter_start is called after ExecutorStart of a plan that touches something protected.  Raises 53400 where a
// bucket of the query is in debt, 55000 where the plan has a point without a meter.
void query_meter_start(QueryDesc *query, PlanFacts *facts, int eflags);

// A destination wrapped around the query's own.  Lives on the hook's C stack.
struct ReadMeter {
  DestReceiver pub;  // first: a DestReceiver * to it is a ReadMeter *
  DestReceiver *inner;
  DeliveryFrame *frame;
  QueryMeter *query;
};

// Wraps query->dest if the query's rows carry protected values or are handed out by a
// data-modifying query.  Returns false where there is nothing to meter: then nothing is to be detached or finished.
void read_meter_wrap(ReadMeter *meter, QueryDesc *query, DeliveryFrame *frame);
inline bool read_meter_attach(ReadMeter *meter, QueryDesc *query, DeliveryFrame *frame) {
  if (query_meters == nullptr && query->dest->mydest != DestCopyOut) [[likely]]
    return false;
  read_meter_wrap(meter, query, frame);
  return true;
}

// Restores query->dest and gives back what was leased but not delivered.  Safe while an
// error is in flight.
void read_meter_detach(ReadMeter *meter, QueryDesc *query) noexcept;

// Charges what a finished run told besides its rows: conflicts, that there was none, a
// count.  Remembers the columns of a table it filled.
void read_meter_finish(ReadMeter *meter, QueryDesc *query);

// Probes of a token type that rows inside a query have paid for its answer.
struct ProbeCover {
  Oid token_type;
  std::uint64_t covered;
  std::uint64_t answered;  // of the answer, so far
};

// query_meter_cover returns that of the query whose memory context this is, or null: in a
// parallel worker there is none.
ProbeCover *query_meter_cover(MemoryContext context, Oid token_type) noexcept;

// What a query costs, entry by entry.
using VisitCharge = void (*)(void *to, Oid token_type, Operation operation, double values);

// query_meter_of returns the meter of a plan that is executed right now, or null.
QueryMeter *query_meter_of(const PlannedStmt *plan) noexcept;
const QueryDesc *query_meter_query(const QueryMeter *meter) noexcept;

// query_meter_charged tells what a run has been charged by this process, without meters in its plan.
void query_meter_charged(const QueryMeter *meter, VisitCharge visit, void *to);

// query_meter_expected tells what `rows` rows would be charged, sent to `dest` of this session.  Ends
// the use of `meter` for a run.
void query_meter_expected(QueryMeter *meter, CommandDest dest, double rows, VisitCharge visit, void *to);

// The operation that an output function of this session charges instead of a read, where it reveals.
Operation read_revealed_as(Oid token_type);

// For the error path: the message may carry a protected value of the query.
void query_meter_error(const QueryDesc *query) noexcept;

// For the error path: false where the SQLSTATE of the error in flight rules out that it quotes a value.
bool error_may_carry_values() noexcept;

// read_meters_give_back: leases_give_back, of what the output of the queries in progress has leased.
bool read_meters_give_back(Oid token_type, Operation operation) noexcept;

// True if the output function will reveal values of the type, and charge for that.
bool read_is_revealed(Oid token_type);

// Must a token have met an output function, which charges it, to be in a value of `type` or in what the
// reader gets of it?  Not a format-preserving one in a text: the cast to text is free.
bool read_meets_output(Oid type, Oid token_type);

// True if any column of the table is protected, by its type or by a label.
bool relation_is_protected(Oid relid);

}  // namespace redoubt::pg
#endif
