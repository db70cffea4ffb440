// meter_node.cpp - see meter_node.h.
//
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/analysis.h"
#include "pg/plan/meter_node.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {
namespace {

struct Function {
  const char *name;
  std::uint16_t argument[4];  // OIDs of PostgreSQL's own types
  Oid function;
  bool known;
};
constinit Function placed[] = {
    {"meter", {ANYELEMENTOID, INTERNALOID}, InvalidOid, false},
    {"opened", {ANYNONARRAYOID, INTERNALOID}, InvalidOid, false},
    {"sought_fingerprint", {TEXTOID, INTERNALOID}, InvalidOid, false},
    {"sought_trigrams", {TEXTOID, INTERNALOID}, InvalidOid, false},
    {"lower_fingerprint", {ANYNONARRAYOID}, InvalidOid, false},
    {"upper_fingerprint", {ANYNONARRAYOID}, InvalidOid, false},
    {"may_match", {ANYNONARRAYOID, BYTEAOID}, InvalidOid, false},
    {"by_value", {ANYNONARRAYOID, INTERNALOID}, InvalidOid, false},
    {"sought_value", {ANYNONARRAYOID, INTERNALOID}, InvalidOid, false},
    {"pending_made", {ANYELEMENTOID, INTERNALOID}, InvalidOid, false},
    {"pending_sought", {ANYELEMENTOID, INTERNALOID}, InvalidOid, false},
    {"meter_statistics", {ANYELEMENTOID, OIDOID, INT2OID, INTERNALOID}, InvalidOid, false},
};

}  // namespace

void placed_functions_changed() {
  for (Function &each : placed) each.known = false;
}

Oid placed_function_oid(Placed which) {
  Function &of = placed[static_cast<int>(which)];
  if (of.known) return of.function;
  List *name = list_make2(makeString(pstrdup("redoubt")), makeString(pstrdup(of.name)));
  of.known = true;  // before reading, so that an invalidation which arrives meanwhile sticks
  Oid types[std::size(of.argument)];
  int arguments = 0;
  for (const std::uint16_t type : of.argument)
    if (OidIsValid(type)) types[arguments++] = type;
  of.function =
      OidIsValid(get_namespace_oid("redoubt", true)) ? LookupFuncName(name, arguments, types, true) : InvalidOid;
  return of.function;
}

bool calls_placed(const Node *node, std::initializer_list<Placed> which) {
  if (!IsA(node, FuncExpr)) return false;
  const Oid function = reinterpret_cast<const FuncExpr *>(node)->funcid;
  if (function < FirstNormalObjectId) return false;
  for (const Placed each : which)
    if (function == placed_function_oid(each)) return true;
  return false;
}

Const *placed_argument(const void *bytes, Size size) {
  auto *mark = static_cast<bytea *>(palloc(VARHDRSZ + size));
  SET_VARSIZE(mark, VARHDRSZ + size);
  if (size > 0) memcpy(VARDATA(mark), bytes, size);
  return makeConst(INTERNALOID, -1, InvalidOid, -1, PointerGetDatum(mark), false, false);
}

std::uint16_t meter_reveals(Oid type) {
  return IsPolymorphicType(type) || type_holds_tokens(type) ? kMeterReveals | kMeterKeeps : kMeterReveals;
}

Expr *meter_wrap(Expr *expression, const Flow &flow, std::uint32_t decides, const PlanAnalysis *analysis,
                 std::uint16_t flags, MeterPoint point) {
  const Source *const sources = analysis->source;
  const Oid function = placed_function_oid(Placed::meter);
  if (!OidIsValid(function))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the function redoubt.meter is missing"),
                    errhint("Create the extension again.")));
  if ((flags & kMeterKeeps) != 0 && type_holds_tokens(exprType(reinterpret_cast<Node *>(expression))))
    flags &= ~kMeterReveals;
  MeterSpec spec = {flags, 0, point, kAnswer, {}};
  for (int i = 0; i < kMaxSources; ++i)
    if (flow.count[i] != 0)
      spec.item[spec.items++] = {sources[i].token_type, flow.count[i], sources[i].is_token && !flow.direct,
                                 (decides & 1U << i) != 0,
                                 sources[i].opened == Opened::no ? Operation::read : Operation::reveal};
    else if ((decides & 1U << i) != 0)
      spec.item[spec.items++] = {sources[i].token_type, analysis->weight[i], sources[i].is_token, false,
                                 Operation::probe};
  const Size size = meter_spec_size(spec.items);
  auto *node = reinterpret_cast<Node *>(expression);
  Const *argument = placed_argument(&spec, size);
  FuncExpr *call = makeFuncExpr(function, exprType(node), list_make2(expression, argument), exprCollation(node),
                                exprCollation(node), COERCE_IMPLICIT_CAST);
  return reinterpret_cast<Expr *>(call);  // as an implicit cast, EXPLAIN does not show it
}

MeterSpec *meter_spec(const Node *expression) {
  if (expression == nullptr || !calls_placed(expression, {Placed::meter})) return nullptr;
  const auto *argument = static_cast<const Const *>(lsecond(reinterpret_cast<const FuncExpr *>(expression)->args));
  return reinterpret_cast<MeterSpec *>(VARDATA_ANY(DatumGetPointer(argument->constvalue)));
}

}  // namespace redoubt::pg
