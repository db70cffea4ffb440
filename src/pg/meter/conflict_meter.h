// conflict_meter.h - rows that ON CONFLICT finds.
//
// A row in conflict tells of a row that exists, whatever is done then: a probe for each protected value of the table.
// It is paid before the proposed row meets the table, and given back where there was no conflict.  So a limit that
// refuses says nothing of the row, and what is done with a row comes after its charge.
#ifndef REDOUBT_PG_METER_CONFLICT_METER_H
#define REDOUBT_PG_METER_CONFLICT_METER_H

#include "pg/base/boundary.h"

#include "pg/limits/lease.h"

namespace redoubt::pg {

struct ConflictPrice {
  Lease lease;
  std::uint32_t each;  // probes of a conflict
};

// Of one INSERT ... ON CONFLICT; in the memory of its query.
struct ConflictMeter {
  ConflictMeter *next;
  const PlanState *modify;
  const PlanState *source;   // of the proposed rows
  ExecProcNodeMtd next_row;  // its own function
  double counted;            // conflicts, as of the last proposed row
  bool row_paid;             // the row at hand
  int prices;
  ConflictPrice price[FLEXIBLE_ARRAY_MEMBER];
};

// conflict_meters_make returns those of a query that has been started, in its memory context; null where there are
// none.
ConflictMeter *conflict_meters_make(const QueryDesc *query);

// conflict_meters_end settles the last row of a run, and gives back what is leased.
void conflict_meters_end(ConflictMeter *meters);

// conflict_meters_error is for the error path.  Whether the row at hand was in conflict is not known; it counts as
// such, unless what the error may tell is paid for.
void conflict_meters_error(ConflictMeter *meters, bool error_paid) noexcept;

// conflict_meters_give_back is leases_give_back, but for the row at hand.
bool conflict_meters_give_back(ConflictMeter *meters, Oid token_type, Operation operation) noexcept;

}  // namespace redoubt::pg
#endif
