// conflict_meter.cpp - see conflict_meter.h.
//
// The executor counts conflicts where it is instrumented.  A function in front of the node that the proposed rows come
// from looks at that count before each of them.
// Invariant: while a proposed row is at hand, the probes of one conflict are charged and not leased.
// State lives in the query's memory context.  Backend-local, no locks.
// Covered by test/metering and sql/probes.sql.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/each.h"
#include "pg/meter/conflict_meter.h"
#include "pg/protect/protected_columns.h"
#include "pg/meter/query_meter.h"

extern "C" {
#include "executor/instrument.h"
}

namespace redoubt::pg {
namespace {

double conflicts_so_far(const ConflictMeter *meter) noexcept { return meter->modify->instrument->ntuples2; }

void pay_row(ConflictMeter *meter) {
  for (int i = 0; i < meter->prices; ++i) lease_take(&meter->price[i].lease, meter->price[i].each);
  meter->row_paid = true;
}

// Back to the lease, for the next row.
void give_back_row(ConflictMeter *meter) noexcept {
  for (int i = 0; meter->row_paid && i < meter->prices; ++i) {
    meter->price[i].lease.held += meter->price[i].each;
    meter->price[i].lease.taken -= meter->price[i].each;
  }
  meter->row_paid = false;
}

// The row before is through.
void settle(ConflictMeter *meter) {
  auto fresh = static_cast<std::int64_t>(conflicts_so_far(meter) - meter->counted);
  meter->counted += static_cast<double>(fresh);
  if (fresh < 1) return give_back_row(meter);
  if (!meter->row_paid) ++fresh;  // another extension took the function in front of the node away
  for (; fresh > 1; --fresh) pay_row(meter);
  meter->row_paid = false;
}

void refund(ConflictMeter *meter) noexcept {
  for (int i = 0; i < meter->prices; ++i) lease_refund(&meter->price[i].lease);
}

ConflictMeter *meter_of_source(const PlanState *source) noexcept {
  const QueryMeter *query = query_meter_find(source->state);
  for (ConflictMeter *meter = query->conflicts; meter != nullptr; meter = meter->next)
    if (meter->source == source) return meter;
  return nullptr;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static TupleTableSlot *conflict_meter_next_row(PlanState *source) {
  using namespace redoubt::pg;
  ConflictMeter *const meter = meter_of_source(source);
  settle(meter);
  TupleTableSlot *slot = meter->next_row(source);
  if (TupIsNull(slot))
    refund(meter);
  else
    pay_row(meter);
  return slot;
}

static bool conflict_meter_find(PlanState *state, void *found) {
  using namespace redoubt::pg;
  if (IsA(state, ModifyTableState) &&
      reinterpret_cast<ModifyTable *>(state->plan)->onConflictAction != ONCONFLICT_NONE) {
    auto **list = static_cast<List **>(found);
    *list = list_append_unique_ptr(*list, state);
  }
  return planstate_tree_walker(state, tree_walker(conflict_meter_find), found);
}
}

namespace redoubt::pg {
namespace {

// Null where the table has no protected column.
ConflictMeter *make(ModifyTableState *state) {
  const ProtectedRelation *relation = protected_relation(RelationGetRelid(state->resultRelInfo->ri_RelationDesc));
  if (relation == nullptr) return nullptr;
  auto *meter = static_cast<ConflictMeter *>(
      palloc0(offsetof(ConflictMeter, price) + sizeof(ConflictPrice) * static_cast<Size>(relation->size)));
  for (int i = 0; i < relation->size; ++i) {
    const Oid type = relation->column[i].source.token_type;
    int k = 0;
    while (k < meter->prices && meter->price[k].lease.token_type != type) ++k;
    if (k == meter->prices) meter->price[meter->prices++].lease = lease_make(type, Operation::probe);
    meter->price[k].each += relation->column[i].count;
  }
  PlanState *const source = outerPlanState(state);
  if (state->ps.instrument == nullptr) state->ps.instrument = InstrAlloc(1, INSTRUMENT_ROWS, false);
  meter->modify = &state->ps;
  meter->source = source;
  meter->next_row = source->ExecProcNodeReal;
  ExecSetExecProcNode(source, shielded<conflict_meter_next_row>);
  return meter;
}

}  // namespace

ConflictMeter *conflict_meters_make(const QueryDesc *query) {
  ConflictMeter *meters = nullptr;
  List *found = NIL;
  MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);
  conflict_meter_find(query->planstate, &found);
  for (auto *subplan : list_of<PlanState>(query->estate->es_subplanstates))
    if (subplan != nullptr) conflict_meter_find(subplan, &found);
  for (auto *each : list_of<ModifyTableState>(found)) {
    ConflictMeter *meter = make(each);
    if (meter == nullptr) continue;
    meter->next = meters;
    meters = meter;
  }
  MemoryContextSwitchTo(old);
  return meters;
}

void conflict_meters_end(ConflictMeter *meters) {
  for (ConflictMeter *meter = meters; meter != nullptr; meter = meter->next) settle(meter);
  for (ConflictMeter *meter = meters; meter != nullptr; meter = meter->next) refund(meter);
}

void conflict_meters_error(ConflictMeter *meters, bool error_paid) noexcept {
  for (ConflictMeter *meter = meters; meter != nullptr; meter = meter->next) {
    if (error_paid && conflicts_so_far(meter) <= meter->counted) give_back_row(meter);
    meter->row_paid = false;
    refund(meter);
  }
}

bool conflict_meters_give_back(ConflictMeter *meters, Oid token_type, Operation operation) noexcept {
  bool any = false;
  for (ConflictMeter *meter = meters; meter != nullptr; meter = meter->next)
    for (int i = 0; i < meter->prices; ++i) any |= lease_give_back(&meter->price[i].lease, token_type, operation);
  return any;
}

}  // namespace redoubt::pg
