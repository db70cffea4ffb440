// plan/insertion.cpp - puts meters at points of a finished plan, or sees that they are there.
//
// Without `inject` nothing is changed: a point that should have a meter and has none
// marks the analysis as unmetered.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/meter_node.h"
#include "pg/plan/walk.h"

extern "C" {
#include "optimizer/planmain.h"
}

namespace redoubt::pg {
namespace {

std::uint16_t flow_flags(const Flow &flow) noexcept {
  return static_cast<std::uint16_t>((flow.pure ? kMeterPure : 0) | (flow.many ? kMeterMany : 0));
}

// A Result above `plan` that hands its columns on one by one.
Plan *result_above(PlanWalk *walk, Plan *plan) {
  auto *result = static_cast<::Result *>(palloc0(sizeof(::Result)));  // not redoubt::Result
  NodeSetTag(result, T_Result);
  Plan *above = &result->plan;
  above->startup_cost = plan->startup_cost;
  above->total_cost = plan->total_cost;
  above->plan_rows = plan->plan_rows;
  above->plan_width = plan->plan_width;
  above->parallel_safe = plan->parallel_safe;
  above->plan_node_id = ++walk->largest_node_id;
  above->extParam = bms_copy(plan->extParam);
  above->allParam = bms_copy(plan->allParam);
  above->lefttree = plan;
  for (auto *target : list_of<TargetEntry>(plan->targetlist)) {
    TargetEntry *copy = flatCopyTargetEntry(target);
    copy->expr = reinterpret_cast<Expr *>(makeVarFromTargetEntry(OUTER_VAR, target));
    above->targetlist = lappend(above->targetlist, copy);
  }
  return above;
}

// Is a meter that is not there to be put in now?  Where the plan was looked through before, it is missing.
bool meter_is_due(PlanWalk *walk) noexcept {
  walk->analysis->unmetered = true;
  return walk->inject && walk->last;
}

// Puts the points that rows come from below this one.  What is computed for some rows only is beside the others of its
// node: each row goes through one of them.
MeterPoint next_point(PlanWalk *walk, bool sometimes) {
  const MeterPoint point = ++walk->points;
  if (sometimes) return point;
  ListCell *cell = nullptr;
  for_each_from(cell, walk->open, walk->open_below) static_cast<MeterSpec *>(lfirst(cell))->above = point;
  walk->open = list_truncate(walk->open, walk->open_below);
  return point;
}

// A meter around an expression, for the values in `flow` and probes of the sources in `probes`, which are at a point of
// their own.  A null costs as a value of a source in `tells`.
void put_meter(PlanWalk *walk, Expr **expression, const Flow &flow, std::uint32_t tells, std::uint32_t probes,
               std::uint16_t flags, bool sometimes = false) {
  if (probes != 0) flags |= kMeterProbes;
  const MeterPoint point = probes != 0 ? next_point(walk, sometimes) : kAnswer;
  const std::uint32_t decides = (tells & flow_explicit(flow)) | probes;
  *expression = meter_wrap(*expression, flow, decides, walk->analysis, flags, point);
  if (probes != 0) walk->open = lappend(walk->open, meter_spec(reinterpret_cast<const Node *>(*expression)));
}

// Does the node compute its target list, or hand on the rows of its input?  PostgreSQL's own answer forgets one.
bool computes_targets(Plan *plan) { return is_projection_capable_plan(plan) && !IsA(plan, IncrementalSort); }

// What an entry of a list of arguments or of a target list computes.
Expr **expression_of(ListCell *cell) {
  return IsA(lfirst(cell), TargetEntry) ? &static_cast<TargetEntry *>(lfirst(cell))->expr
                                        : reinterpret_cast<Expr **>(&lfirst(cell));
}

}  // namespace

bool has_meter(const Expr *expression, std::uint16_t flags) {
  const auto *node = reinterpret_cast<const Node *>(expression);
  for (const MeterSpec *spec = nullptr; (spec = meter_spec(node)) != nullptr; node = metered(node))
    if ((spec->flags & (kMeterProbes | kMeterRows)) == flags) return true;
  return false;
}

void meter_found(PlanWalk *walk, const MeterSpec *meter) {
  if (!walk->last || walk->inject || (meter->flags & kMeterProbes) == 0) return;
  walk->points = std::max(walk->points, meter->point);
  walk->found = lappend(walk->found, const_cast<MeterSpec *>(meter));
}

void meter_value(PlanWalk *walk, Expr **value, const Flow &flow, std::uint32_t decides, std::uint16_t flags) {
  if (flow_explicit(flow) == 0 || has_meter(*value, flags & kMeterRows) || !meter_is_due(walk)) return;
  // What is paid for besides the value itself is there where that is null.
  put_meter(walk, value, flow, decides, 0, flags | ((flags & kMeterRows) != 0 ? 0 : flow_flags(flow)));
}

void meter_target(PlanWalk *walk, Plan **slot, int position, const Flow &flow, std::uint32_t decides) {
  const auto target = [&] { return &static_cast<TargetEntry *>(list_nth((*slot)->targetlist, position))->expr; };
  if (flow_explicit(flow) == 0 || is_meter(reinterpret_cast<Node *>(*target())) || !meter_is_due(walk)) return;
  if (!computes_targets(*slot)) *slot = result_above(walk, *slot);
  put_meter(walk, target(), flow, decides, 0, flow_flags(flow));
}

void meter_arguments(PlanWalk *walk, const ExprScope &scope, List *arguments, std::uint16_t flags) {
  if (!walk->last) return;  // the arguments were walked where they stand; here their subqueries are not asked for again
  ListCell *cell = nullptr;
  foreach (cell, arguments) {
    auto *node = static_cast<Node *>(lfirst(cell));
    if (IsA(node, TargetEntry) && reinterpret_cast<TargetEntry *>(node)->resjunk) continue;
    const Flow flow = walk_expression(walk, scope, node);
    meter_value(walk, expression_of(cell), flow, scope.rows | walk->context | flow.implicit, flags);
  }
}

namespace {

// Has a column of the plan a meter of its rows, for values (flags: 0) or probes (kMeterProbes)?  Another may have
// put a Result above it, through which every row goes.
bool has_row_meter(const Plan *plan, std::uint16_t flags) {
  bool other = false;
  for (const auto *target : list_of<const TargetEntry>(plan->targetlist)) {
    const Expr *value = target->expr;
    if (has_meter(value, flags | kMeterRows)) return true;
    other |= has_meter(value, (flags ^ kMeterProbes) | kMeterRows);
  }
  return other && IsA(plan, Result) && plan->lefttree != nullptr && passes_rows_on(plan) &&
         has_row_meter(plan->lefttree, flags);
}

}  // namespace

void meter_row(PlanWalk *walk, Plan **slot, const Flow &flow, std::uint32_t probes) {
  if (flow_explicit(flow) == 0 && probes == 0) return;
  if (has_row_meter(*slot, probes != 0 ? kMeterProbes : 0) || !meter_is_due(walk)) return;
  if ((*slot)->targetlist == NIL) {  // a count of rows
    Const *zero = makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(0), false, true);
    (*slot)->targetlist = list_make1(makeTargetEntry(reinterpret_cast<Expr *>(zero), 1, nullptr, true));
  }
  // A column that has its own meter already is left alone.
  int position = 0;
  for (auto *target : list_of<TargetEntry>((*slot)->targetlist)) {
    if (!is_meter(reinterpret_cast<Node *>(target->expr))) break;
    ++position;
  }
  if (position == list_length((*slot)->targetlist) || !computes_targets(*slot)) {
    *slot = result_above(walk, *slot);
    position = 0;
  }
  Expr **place = &static_cast<TargetEntry *>(list_nth((*slot)->targetlist, position))->expr;
  put_meter(walk, place, flow, 0, probes, kMeterRows);
}

void meter_call(PlanWalk *walk, const ExprScope &scope, List *arguments, std::uint32_t probes) {
  if (probes == 0 || arguments == NIL) return;
  ListCell *cell = nullptr;
  foreach (cell, arguments)
    if (has_meter(*expression_of(cell), kMeterProbes)) return;
  if (meter_is_due(walk)) put_meter(walk, expression_of(list_head(arguments)), kNoFlow, 0, probes, 0, scope.sometimes);
}

bool is_gate(const Plan *plan) {
  const auto *gate = reinterpret_cast<const ::Result *>(plan);
  const auto *once = IsA(plan, Result) ? reinterpret_cast<const List *>(gate->resconstantqual) : nullptr;
  return once != nullptr && has_meter(static_cast<const Expr *>(linitial(once)), kMeterProbes);
}

void meter_run(PlanWalk *walk, Plan *scan, std::uint32_t probes) {
  if (probes == 0 || !meter_is_due(walk)) return;
  const Size size = IsA(scan, FunctionScan) ? sizeof(FunctionScan) : sizeof(ForeignScan);
  static_assert(sizeof(::Result) <= sizeof(FunctionScan), "the one takes the place of the other");
  auto *below = static_cast<Plan *>(palloc(size));
  memcpy(static_cast<void *>(below), scan, size);
  below->async_capable = false;
  auto *gate = reinterpret_cast<::Result *>(result_above(walk, below));
  auto *passes = reinterpret_cast<Expr *>(makeBoolConst(true, false));
  put_meter(walk, &passes, kNoFlow, 0, probes, 0);
  gate->resconstantqual = reinterpret_cast<Node *>(list_make1(passes));
  memcpy(static_cast<void *>(scan), gate, sizeof *gate);  // whatever points here is to find it
}

void meter_bare_call(PlanWalk *walk, const ExprScope &scope, FuncExpr *call, std::uint32_t probes) {
  if (probes == 0 || !meter_is_due(walk)) return;
  auto *when = makeNode(CaseWhen);
  when->expr = reinterpret_cast<Expr *>(makeBoolConst(true, false));
  put_meter(walk, &when->expr, kNoFlow, 0, probes, 0, scope.sometimes);
  when->result = static_cast<Expr *>(copyObjectImpl(call));
  when->location = -1;
  CaseExpr metered = {};
  NodeSetTag(&metered, T_CaseExpr);
  metered.casetype = call->funcresulttype;
  metered.casecollid = call->funccollid;
  metered.args = list_make1(when);
  metered.defresult = reinterpret_cast<Expr *>(makeNullConst(call->funcresulttype, -1, call->funccollid));
  metered.location = -1;
  static_assert(sizeof(CaseExpr) <= sizeof(FuncExpr), "the one takes the place of the other");
  memcpy(static_cast<void *>(call), &metered, sizeof metered);  // whatever points here is to find it
}

void meter_field(FieldSelect *select) {
  auto *call = reinterpret_cast<CaseExpr *>(select->arg);
  const auto *function = reinterpret_cast<const Node *>(metered_call(reinterpret_cast<const Node *>(call)));
  const TupleDesc row_type = get_expr_result_tupdesc(const_cast<Node *>(function), true);
  const char *name = row_type != nullptr && select->fieldnum <= row_type->natts
                         ? NameStr(TupleDescAttr(row_type, select->fieldnum - 1)->attname)
                         : "f1";
  auto *when = static_cast<CaseWhen *>(linitial(call->args));
  auto *field = makeNode(FieldSelect);
  *field = *select;
  field->arg = when->result;
  when->result = reinterpret_cast<Expr *>(field);
  call->casetype = select->resulttype;
  call->casecollid = select->resultcollid;
  call->defresult =
      reinterpret_cast<Expr *>(makeNullConst(select->resulttype, select->resulttypmod, select->resultcollid));
  auto *row = makeNode(RowExpr);
  row->args = list_make1(call);
  row->row_typeid = RECORDOID;
  row->row_format = COERCE_EXPLICIT_CALL;
  row->colnames = list_make1(makeString(pstrdup(name)));
  row->location = -1;
  select->arg = reinterpret_cast<Expr *>(row);
  select->fieldnum = 1;
}

const FuncExpr *metered_call(const Node *expression) {
  if (!IsA(expression, CaseExpr)) return nullptr;
  const auto *node = reinterpret_cast<const CaseExpr *>(expression);
  const auto *when = static_cast<const CaseWhen *>(linitial(node->args));
  if (node->arg != nullptr || !is_meter(reinterpret_cast<const Node *>(when->expr))) return nullptr;
  const Expr *made = when->result;
  if (IsA(made, FieldSelect)) made = reinterpret_cast<const FieldSelect *>(made)->arg;
  return reinterpret_cast<const FuncExpr *>(made);
}

}  // namespace redoubt::pg
