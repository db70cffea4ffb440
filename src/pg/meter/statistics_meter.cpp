// statistics_meter.cpp - see statistics_meter.h.
//
// Done before planning, where a reference still stands for its use: pg_stats chooses one
// of five arrays by CASE, and only the one that is chosen is evaluated and charged.  The
// function is STABLE so that columns of the view that nobody reads stay dropped.
// An extended statistics object pays for all its values as soon as one is looked at.
// What else is kept of a column (the average width, how many different values) says of a table of one row, or of an
// expression that was chosen for it, what the value is: a probe for each column of which any is looked at.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/array_items.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/node_walk.h"
#include "pg/limits/limits.h"
#include "pg/plan/meter_node.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/standing_code.h"
#include "pg/protect/value_count.h"
#include "pg/meter/statistics_meter.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "access/detoast.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_statistic_ext.h"
#include "statistics/extended_stats_internal.h"
#include "statistics/statistics.h"
}

namespace redoubt::pg {
namespace {

struct Rewrite {
  Oid function;
  List *queries;  // enclosing ones, innermost first
};

bool reads_statistics(const Query *query) {
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable)) {
    if (entry->rtekind == RTE_RELATION &&
        (entry->relid == StatisticRelationId || entry->relid == StatisticExtDataRelationId))
      return true;
    if (entry->rtekind == RTE_SUBQUERY && reads_statistics(entry->subquery)) return true;
  }
  for (auto *cte : list_of<CommonTableExpr>(query->cteList))
    if (reads_statistics(reinterpret_cast<Query *>(cte->ctequery))) return true;
  return query->hasSubLinks;  // not looked into here: they may
}

// The table that a reference to one of the columns that tell of values is to, or InvalidOid.
Oid values_table(const Rewrite *rewrite, const Var *variable) {
  if (static_cast<int>(variable->varlevelsup) >= list_length(rewrite->queries)) return InvalidOid;
  const auto *query = static_cast<Query *>(list_nth(rewrite->queries, static_cast<int>(variable->varlevelsup)));
  const RangeTblEntry *entry = rt_fetch(static_cast<Index>(variable->varno), query->rtable);
  if (entry->rtekind != RTE_RELATION) return InvalidOid;
  const AttrNumber attno = variable->varattno;  // 0: the whole row
  const AttrNumber first =
      entry->relid == StatisticRelationId ? Anum_pg_statistic_stanullfrac : Anum_pg_statistic_ext_data_stxdndistinct;
  return statistics_table(entry->relid) && (attno >= first || attno == 0) ? entry->relid : InvalidOid;
}

// `value` is one of the columns, or says whether it is null.
Node *metered(const Rewrite *rewrite, const Var *values, Node *value, Oid table) {
  const auto column = [values](int attno, Oid type) {
    return makeVar(values->varno, static_cast<AttrNumber>(attno), type, -1, InvalidOid, values->varlevelsup);
  };
  const bool slot = table == StatisticRelationId && values->varattno != 0;
  static_assert(Anum_pg_statistic_starelid == Anum_pg_statistic_ext_data_stxoid,
                "the object is the first column of both");
  Expr *attnum = slot ? reinterpret_cast<Expr *>(column(Anum_pg_statistic_staattnum, INT2OID))
                      : reinterpret_cast<Expr *>(makeNullConst(INT2OID, -1, InvalidOid));
  List *arguments =
      list_make4(value, column(Anum_pg_statistic_starelid, OIDOID), attnum, makeNullConst(INTERNALOID, -1, InvalidOid));
  return reinterpret_cast<Node *>(makeFuncExpr(rewrite->function, exprType(value), arguments, exprCollation(value),
                                               exprCollation(value), COERCE_EXPLICIT_CALL));
}

// The protected columns that an index or a statistics object is computed from, or that is looked at itself.
struct Used {
  Oid table;
  Bitmapset *columns;
};

Used used_by(Oid relid, AttrNumber attno) {
  if (get_rel_relkind(relid) != RELKIND_INDEX) return {relid, bms_make_singleton(attno)};
  StandingCode code = {};
  (void)standing_code_read(RelationRelationId, relid, &code);
  return {IndexGetRelation(relid, true), code.columns};
}

// How many values `items` of a slot may hold: of an array, each element is one; a text that is computed from several
// columns, or from elements, has as many as its letters have room for, four each.
std::uint32_t values_in(const ArrayType *slot, const Used &used) {
  const std::uint32_t items = value_elements(PointerGetDatum(slot), TEXTARRAYOID);
  std::uint32_t each = 0;
  bool arrays = false;
  each_protected_column(used.table, [&](const ProtectedColumn &column) {
    if (!columns_hold(used.columns, column.attno)) return;
    each += column.count;
    arrays |= column.is_array;
  });
  const bool elements = OidIsValid(get_element_type(getBaseType(ARR_ELEMTYPE(slot))));
  if (each <= 1 && (!arrays || elements)) return items;
  const auto room = static_cast<std::uint32_t>(VARSIZE_ANY(slot) / 4);
  const std::uint64_t most = arrays ? room : std::uint64_t{items} * each;
  return std::max(items, static_cast<std::uint32_t>(std::min<std::uint64_t>(most, room)));
}

// Which rows a partition has tells of them what its bound does.
void charge_partition(Oid relid, std::uint32_t rows) {
  if (!get_rel_relispartition(relid)) return;
  const Bitmapset *told = partition_tells(relid, get_partition_parent(relid, true));
  each_protected_column(relid, [&](const ProtectedColumn &column) {
    if (columns_hold(told, column.attno)) limits_charge(column.source.token_type, Operation::probe, rows);
  });
}

// The token type that pays for a column, or for what an index computes from one.
Oid paying_type(Oid relid, AttrNumber attno) {
  if (get_rel_relkind(relid) != RELKIND_INDEX) return protected_column_type(relid, attno);
  const ProtectedRelation *table = protected_relation(IndexGetRelation(relid, true));
  return table != nullptr ? table->column[0].source.token_type : InvalidOid;
}

// The node with its references metered.  `Flags` are those of query_tree_mutator.
template <int Flags = 0>
Node *all_metered(Rewrite *rewrite, Node *node) {
  const auto *values = reinterpret_cast<const Var *>(
      IsA(node, NullTest) ? reinterpret_cast<Node *>(reinterpret_cast<NullTest *>(node)->arg) : node);
  if (IsA(values, Var))
    if (const Oid table = values_table(rewrite, values); OidIsValid(table))
      return metered(rewrite, values, node, table);
  if (IsA(node, Query)) rewrite->queries = lcons(node, rewrite->queries);
  Node *copy = with_children<Flags>(node, [rewrite](Node *child) { return all_metered(rewrite, child); });
  if (IsA(node, Query)) rewrite->queries = list_delete_first(rewrite->queries);
  return copy;
}

}  // namespace

void statistics_meter(Query *query) {
  if (query->commandType == CMD_UTILITY || !reads_statistics(query)) return;
  Rewrite rewrite = {placed_function_oid(Placed::meter_statistics), NIL};
  if (OidIsValid(rewrite.function)) (void)all_metered<QTW_DONT_COPY_QUERY>(&rewrite, reinterpret_cast<Node *>(query));
}

[[gnu::hot]] void statistics_guard(const PlannedStmt *plan) {
  for (const auto *entry : list_of<const RangeTblEntry>(plan->rtable)) {
    if (entry->rtekind != RTE_RELATION || entry->relkind != RELKIND_TOASTVALUE) continue;
    bool of_statistics = false;
    for (const Oid table : {StatisticRelationId, StatisticExtDataRelationId}) {
      Relation relation = table_open(table, AccessShareLock);
      of_statistics |= relation->rd_rel->reltoastrelid == entry->relid;
      table_close(relation, AccessShareLock);
    }
    if (!of_statistics || superuser() || !OidIsValid(get_namespace_oid("redoubt", true))) continue;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("\"%s\" may hold values of protected columns", get_rel_name(entry->relid)),
                    errhint("Read pg_statistic or pg_stats, which are metered.")));
  }
}

bool statistics_table(Oid relid) noexcept {
  return relid == StatisticRelationId || relid == StatisticExtDataRelationId;
}

Bitmapset *statistics_columns(Oid statistics) {
  HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
  if (!HeapTupleIsValid(tuple)) return nullptr;
  const auto *object = reinterpret_cast<Form_pg_statistic_ext>(GETSTRUCT(tuple));
  Bitmapset *columns = nullptr;
  for (int i = 0; i < object->stxkeys.dim1; ++i) columns = bms_add_member(columns, object->stxkeys.values[i]);
  ReleaseSysCache(tuple);
  return bms_join(columns, columns_in(statistics_expressions(statistics)));
}

}  // namespace redoubt::pg

namespace redoubt::pg {
namespace {

// What was charged last, and by what snapshot it was seen: the other figures of a row come right after the first.
struct Figure {
  Oid object;
  AttrNumber attno;
  CommandId command;
  std::uint64_t completed;
  bool operator==(const Figure &) const = default;
};
constinit Figure charged_last = {};

// A probe for the figures that are kept of a column, or of a statistics object.
void charge_figure(Oid object, AttrNumber attno, Oid token_type) {
  const SnapshotData *snapshot = GetActiveSnapshot();
  const Figure figure = {object, attno, snapshot->curcid, snapshot->snapXactCompletionCount};
  if (figure == charged_last) return;
  if (OidIsValid(token_type))
    limits_charge(token_type, Operation::probe, 1);
  else
    charge_partition(object, 1);
  charged_last = figure;
}

// The values in a list of most common combinations, or in statistics on expressions; 0 where `values` is no such thing.
uint32 extended_values(Datum values, Oid type) {
  if (type == PG_NDISTINCTOID || type == PG_DEPENDENCIESOID || type == BOOLOID) return 0;
  if (type == PG_MCV_LISTOID) {
    const MCVList *list = statext_mcv_deserialize(DatumGetByteaP(values));
    return list != nullptr ? list->nitems : 0;
  }
  if (type != get_array_type(get_rel_type_id(StatisticRelationId)))
    elog(ERROR, "redoubt.meter_statistics was given a value of type %u", type);
  uint32 n = 0;
  each_item(DatumGetArrayTypeP(values), [&n](Datum item) {
    HeapTupleHeader row = DatumGetHeapTupleHeader(item);
    for (int slot = Anum_pg_statistic_stavalues1; slot <= Anum_pg_statistic_stavalues5; ++slot) {
      bool null = true;
      const Datum array = GetAttributeByNum(row, static_cast<AttrNumber>(slot), &null);
      if (null) continue;
      const ArrayType *elements = DatumGetArrayTypeP(array);
      n += static_cast<uint32>(ArrayGetNItems(ARR_NDIM(elements), ARR_DIMS(elements)));
    }
  });
  return n;
}

void charge_extended(Datum values, Oid type, Oid statistics) {
  const Oid relid = catalog_field(STATEXTOID, statistics, &FormData_pg_statistic_ext::stxrelid);
  const Bitmapset *columns = statistics_columns(statistics);
  if (protected_relation(relid) == nullptr) return;
  const uint32 n = extended_values(values, type);
  bool any = false;
  each_protected_column(relid, [&](const ProtectedColumn &column) {
    if (!bms_is_member(column.attno, columns)) return;
    any = true;
    if (n == 0) return charge_figure(statistics, 0, column.source.token_type);
    const auto room = static_cast<uint32>(toast_raw_datum_size(values) / 4);
    limits_charge(column.source.token_type, Operation::read,
                  column.is_array ? std::max(n, room) : flow_cost(column.count, n));
  });
  if (!any) charge_partition(relid, n);
}

// A slot of pg_statistic.
void charge_slot(Datum values, Oid relid, AttrNumber attno) {
  const Oid type = paying_type(relid, attno);
  const ArrayType *array = DatumGetArrayTypeP(values);
  if (OidIsValid(type))
    limits_charge(type, Operation::read, values_in(array, used_by(relid, attno)));
  else
    charge_partition(relid, static_cast<uint32>(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array))));
}

// A whole row of pg_statistic, of the relation.
void charge_statistic_row(HeapTupleHeader row, Oid relid) {
  bool null = true;
  const AttrNumber attno = DatumGetInt16(GetAttributeByNum(row, Anum_pg_statistic_staattnum, &null));
  charge_figure(relid, attno, paying_type(relid, attno));
  for (int slot = Anum_pg_statistic_stavalues1; slot <= Anum_pg_statistic_stavalues5; ++slot) {
    const Datum values = GetAttributeByNum(row, static_cast<AttrNumber>(slot), &null);
    if (!null) charge_slot(values, relid, attno);
  }
}

// A whole row of pg_statistic_ext_data, of the statistics object.
void charge_extended_row(HeapTupleHeader row, Oid statistics) {
  for (AttrNumber column = Anum_pg_statistic_ext_data_stxdndistinct; column <= Natts_pg_statistic_ext_data; ++column) {
    bool null = true;
    const Datum values = GetAttributeByNum(row, column, &null);
    if (!null) charge_extended(values, get_atttype(StatisticExtDataRelationId, column), statistics);
  }
}

// A whole row, or one column of pg_statistic_ext_data.
void charge_object(Datum value, Oid type, Oid object) {
  if (type == get_rel_type_id(StatisticRelationId)) return charge_statistic_row(DatumGetHeapTupleHeader(value), object);
  if (type == get_rel_type_id(StatisticExtDataRelationId))
    return charge_extended_row(DatumGetHeapTupleHeader(value), object);
  charge_extended(value, type, object);
}

}  // namespace
}  // namespace redoubt::pg

// meter_statistics(anyelement, oid, int2, internal) returns its first argument, charged for as read: a slot of
// pg_statistic, or another figure there, of the column that the next two name; without a column, a row of pg_statistic
// of the relation, or a column or row of pg_statistic_ext_data of the object.
REDOUBT_FUNCTION(redoubt_meter_statistics) {
  using namespace redoubt::pg;
  if (PG_NARGS() != 4) elog(ERROR, "redoubt.meter_statistics was called with other arguments");
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  const Datum values = PG_GETARG_DATUM(0);
  const Oid type = get_fn_expr_argtype(fcinfo->flinfo, 0);
  if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2) && type != ANYARRAYOID)
    charge_figure(PG_GETARG_OID(1), PG_GETARG_INT16(2), paying_type(PG_GETARG_OID(1), PG_GETARG_INT16(2)));
  else if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
    charge_slot(values, PG_GETARG_OID(1), PG_GETARG_INT16(2));
  else if (!PG_ARGISNULL(1))
    charge_object(values, type, PG_GETARG_OID(1));
  PG_RETURN_DATUM(values);
}
