// meter_function.cpp - see meter_function.h.
//
// State per call site lives in fn_extra, in the memory context of the expression; a reset
// callback gives back what it leased ahead.  All such states of the backend are in one
// list, so that a portal that pauses can give back as well.
// Invariant: the charge comes before the value is handed on.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/delivery.h"
#include "pg/limits/lease.h"
#include "pg/reveal/disclosure.h"
#include "pg/reveal/gate.h"
#include "pg/meter/meter_function.h"
#include "pg/meter/read_meter.h"
#include "pg/tokens/token_io.h"
#include "pg/types/token_type.h"
#include "pg/protect/value_count.h"

namespace redoubt::pg {
namespace {

struct MeterState {
  MeterState *next;
  MeterState **link;  // what points here
  MemoryContext context;
  QueryMeter *query;  // null until it is known, and in parallel workers
  Oid type;
  MeterSpec spec;
  Lease lease[kMaxSources];
  MemoryContextCallback forget;
};

constinit MeterState *states = nullptr;

void refund(MeterState *state) noexcept {
  for (int i = 0; i < state->spec.items; ++i) lease_refund(&state->lease[i]);
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void meter_function_forget(void *argument) {
  using namespace redoubt::pg;
  auto *state = static_cast<MeterState *>(argument);
  refund(state);
  *state->link = state->next;
  if (state->next != nullptr) state->next->link = state->link;
}
}

namespace redoubt::pg {
namespace {

// Before the row is handed on, so that an error after it does not save the charge.
void charge_probe(MeterState *state, int i) {
  if (state->query == nullptr) state->query = query_meter_in(state->context);
  std::uint32_t probes = state->spec.item[i].count;
  if (QueryMeter *query = state->query; query != nullptr) {
    probes *= query_meter_price(query, state->spec.item[i].token_type);
    if (const int type = plan_type(query->analysis, state->spec.item[i].token_type); type >= 0)
      probes = static_cast<std::uint32_t>(query->probes.ask(state->spec.point, type, probes));
  }
  if (probes > 0) lease_take(&state->lease[i], probes);
}

MeterState *make_state(FunctionCallInfo fcinfo) {
  FmgrInfo *const info = fcinfo->flinfo;
  if (PG_NARGS() != 2 || PG_ARGISNULL(1)) elog(ERROR, "redoubt.meter was given something else");
  const auto *bytes = PG_GETARG_BYTEA_PP(1);
  auto *state = static_cast<MeterState *>(MemoryContextAllocZero(info->fn_mcxt, sizeof(MeterState)));
  const auto size = static_cast<Size>(VARSIZE_ANY_EXHDR(bytes));
  if (size < meter_spec_size(0) || size > sizeof(MeterSpec)) elog(ERROR, "redoubt.meter was given something else");
  memcpy(&state->spec, VARDATA_ANY(bytes), size);
  if (state->spec.items > kMaxSources || size != meter_spec_size(state->spec.items))
    elog(ERROR, "redoubt.meter was given something else");
  for (int i = 0; i < state->spec.items; ++i) {
    const Operation operation = state->spec.item[i].operation;
    if (operation != Operation::read && operation != Operation::reveal && operation != Operation::probe)
      elog(ERROR, "redoubt.meter was given something else");
    if (state->spec.item[i].count == kMaxFlowCount) flow_refuse_beyond_count();
    state->lease[i] = lease_make(state->spec.item[i].token_type, state->spec.item[i].operation);
  }
  state->type = get_fn_expr_argtype(info, 0);
  state->context = info->fn_mcxt;
  state->next = states;
  state->link = &states;
  if (states != nullptr) states->link = &state->next;
  states = state;
  state->forget.func = shielded<meter_function_forget, WARNING>;
  state->forget.arg = state;
  MemoryContextRegisterResetCallback(info->fn_mcxt, &state->forget);
  info->fn_extra = state;
  return state;
}

void charge(MeterState *state, Datum value, bool null) {
  const MeterSpec &spec = state->spec;
  std::uint32_t elements = 1;
  if (null && (spec.flags & (kMeterPure | kMeterMany)) != 0)
    elements = 0;
  else if ((spec.flags & kMeterMany) != 0)
    elements = value_elements(value, state->type);
  for (int i = 0; i < spec.items; ++i) {
    if (spec.item[i].operation == Operation::probe) {
      charge_probe(state, i);
      continue;
    }
    const bool left_to_output = spec.item[i].is_token && (spec.flags & kMeterReveals) != 0 && delivery_to_reader() &&
                                read_is_revealed(spec.item[i].token_type) &&
                                type_meets_output(state->type, spec.item[i].token_type);
    if (left_to_output) delivery_innermost->left.note();
    const std::uint32_t paid = elements == 0 && spec.item[i].null_tells ? 1 : elements;
    if (spec.item[i].operation == Operation::reveal) {
      if (elements == 0) continue;
      const std::uint32_t values = flow_cost(spec.item[i].count, elements);
      const TokenType *type = token_type_require(spec.item[i].token_type);
      gate_require_authors(type, Privilege::reveal);
      token_io_require_plain(type);
      disclosure_require(type, Operation::reveal, values);
      state->lease[i].taken += values;
      continue;
    }
    if (paid > 0 && !(left_to_output && elements > 0))
      lease_take(&state->lease[i], flow_cost(spec.item[i].count, paid));
  }
}

}  // namespace

void meter_each_charge(MemoryContext context, VisitCharge visit, void *to) {
  for (const MeterState *state = states; state != nullptr; state = state->next)
    for (int i = 0; state->context == context && i < state->spec.items; ++i)
      visit(to, state->lease[i].token_type, state->lease[i].operation, static_cast<double>(state->lease[i].taken));
}

bool meters_give_back(Oid token_type, Operation operation) noexcept {
  bool any = false;
  for (MeterState *state = states; state != nullptr; state = state->next)
    for (int i = 0; i < state->spec.items; ++i) any |= lease_give_back(&state->lease[i], token_type, operation);
  return any;
}

void meter_refund_query(MemoryContext context) noexcept {
  for (MeterState *state = states; state != nullptr; state = state->next)
    if (state->context == context) refund(state);
}

}  // namespace redoubt::pg

// meter(anyelement, internal) returns its first argument, charged for.
REDOUBT_FUNCTION(redoubt_meter) {
  using namespace redoubt::pg;
  auto *state = static_cast<MeterState *>(fcinfo->flinfo->fn_extra);
  if (state == nullptr) state = make_state(fcinfo);
  charge(state, PG_GETARG_DATUM(0), PG_ARGISNULL(0));
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
