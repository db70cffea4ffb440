// ddl_meter.cpp - see ddl_meter.h.
//
// The expressions are looked at as they were parsed, for a command may add columns that
// they mention: a name that may stand for an untrusted function or operator is taken for
// one, and a protected column that is named beside it is charged for every row.
// Covered by test/metering.
#include "pg/boundary.h"

#include "pg/compat.h"
#include "pg/ddl_meter.h"
#include "pg/function_trust.h"
#include "pg/limits.h"
#include "pg/protected_columns.h"

extern "C" {
#include "access/tableam.h"
#include "catalog/pg_operator.h"
#include "parser/parse_type.h"
}

namespace redoubt::pg {
namespace {

struct Expressions {
  Oid relid;
  bool untrusted;
  bool every_column;  // the whole row
  Bitmapset *columns;
};

bool may_be_untrusted_function(const List *name) {
  for (FuncCandidateList candidate =
           FuncnameGetCandidates(const_cast<List *>(name), -1, NIL, false, false, false, true);
       candidate != nullptr; candidate = candidate->next)
    if (!function_is_trusted(candidate->oid)) return true;
  return false;
}

bool may_be_untrusted_operator(const List *name) {
  for (FuncCandidateList candidate = OpernameGetCandidates(const_cast<List *>(name), '\0', true); candidate != nullptr;
       candidate = candidate->next) {
    const Oid function = get_opcode(candidate->oid);
    if (OidIsValid(function) && !function_is_trusted(function)) return true;
  }
  return false;
}

// A cast to a type that is not built in may call anything.
bool is_own_type(const TypeName *name) {
  const Oid type = LookupTypeNameOid(nullptr, name, true);
  return !OidIsValid(type) || type >= FirstNormalObjectId;
}

void add_column(Expressions *found, const ColumnRef *reference) {
  const auto *last = static_cast<const Node *>(llast(reference->fields));
  const AttrNumber attno = IsA(last, String) ? get_attnum(found->relid, strVal(last)) : InvalidAttrNumber;
  if (attno > 0)
    found->columns = bms_add_member(found->columns, attno);
  else
    found->every_column = true;  // a star, the table's name, or a column still to come
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool ddl_meter_walker(Node *node, void *context) {
  using namespace redoubt::pg;
  if (node == nullptr) return false;
  auto *found = static_cast<Expressions *>(context);
  if (IsA(node, ColumnRef)) {
    add_column(found, reinterpret_cast<ColumnRef *>(node));
    return false;
  }
  if (IsA(node, FuncCall)) found->untrusted |= may_be_untrusted_function(reinterpret_cast<FuncCall *>(node)->funcname);
  if (IsA(node, A_Expr)) found->untrusted |= may_be_untrusted_operator(reinterpret_cast<A_Expr *>(node)->name);
  if (IsA(node, TypeCast)) found->untrusted |= is_own_type(reinterpret_cast<TypeCast *>(node)->typeName);
  return raw_expression_tree_walker(node, tree_walker(ddl_meter_walker), context);
}
}

namespace redoubt::pg {
namespace {

void look_at(Expressions *found, Node *expression) {
  Expressions one = {found->relid, false, false, nullptr};
  ddl_meter_walker(expression, &one);
  if (!one.untrusted) return;
  found->untrusted = true;
  found->every_column |= one.every_column;
  found->columns = bms_add_members(found->columns, one.columns);
}

void look_at_constraints(Expressions *found, const List *constraints) {
  ListCell *cell = nullptr;
  foreach (cell, constraints) {
    const auto *constraint = static_cast<const Constraint *>(lfirst(cell));
    if (IsA(constraint, Constraint)) look_at(found, constraint->raw_expr);
  }
}

void look_at_command(Expressions *found, const AlterTableCmd *command) {
  if (command->def == nullptr) return;
  if (compat_sets_expression(command)) return look_at(found, command->def);
  if (IsA(command->def, Constraint)) return look_at_constraints(found, list_make1(command->def));
  if (!IsA(command->def, ColumnDef)) return;
  const auto *column = reinterpret_cast<const ColumnDef *>(command->def);
  if (command->subtype == AT_AlterColumnType) {
    look_at(found, column->raw_default);
    // Without USING the cast to the new type is applied to the column itself.
    const AttrNumber attno = get_attnum(found->relid, command->name);
    if (attno > 0 && column->raw_default == nullptr && is_own_type(column->typeName)) {
      found->untrusted = true;
      found->columns = bms_add_member(found->columns, attno);
    }
  }
  look_at_constraints(found, column->constraints);
}

void look_at_index(Expressions *found, const IndexStmt *index) {
  look_at(found, index->whereClause);
  ListCell *cell = nullptr;
  foreach (cell, index->indexParams) look_at(found, static_cast<const IndexElem *>(lfirst(cell))->expr);
}

uint64 count_rows(Oid relid) {
  uint64 rows = 0;
  ListCell *cell = nullptr;
  const List *tables = find_all_inheritors(relid, AccessShareLock, nullptr);
  foreach (cell, tables) {
    Relation relation = table_open(lfirst_oid(cell), NoLock);
    if (relation->rd_rel->relkind == RELKIND_RELATION || relation->rd_rel->relkind == RELKIND_MATVIEW) {
      Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
      TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
      TupleTableSlot *slot = table_slot_create(relation, nullptr);
      while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        ++rows;
      }
      ExecDropSingleTupleTableSlot(slot);
      table_endscan(scan);
      UnregisterSnapshot(snapshot);
    }
    table_close(relation, NoLock);
  }
  return rows;
}

void charge(const Expressions &found) {
  uint64 rows = 0;
  bool counted = false;
  for (int i = 0;; ++i) {
    const ProtectedRelation *relation = protected_relation(found.relid);  // a charge may rebuild it
    if (relation == nullptr || i >= relation->size) return;
    const ProtectedColumn column = relation->column[i];
    if (!found.every_column && !bms_is_member(column.attno, found.columns)) continue;
    if (!counted) rows = count_rows(found.relid);
    counted = true;
    const uint64 values = rows * column.count;
    limits_charge(column.source.token_type, Operation::read,
                  static_cast<uint32>(std::min<uint64>(values, PG_INT32_MAX)));
  }
}

}  // namespace

void ddl_meter(const Node *statement) {
  if (!IsA(statement, AlterTableStmt) && !IsA(statement, IndexStmt)) return;
  const RangeVar *table = IsA(statement, IndexStmt) ? reinterpret_cast<const IndexStmt *>(statement)->relation
                                                    : reinterpret_cast<const AlterTableStmt *>(statement)->relation;
  const Oid relid = RangeVarGetRelid(table, AccessShareLock, true);
  // The command itself refuses anyone but the owner.
  if (!OidIsValid(relid) || protected_relation(relid) == nullptr || !compat_owns_relation(relid, GetUserId())) return;
  Expressions found = {relid, false, false, nullptr};
  if (IsA(statement, IndexStmt)) {
    look_at_index(&found, reinterpret_cast<const IndexStmt *>(statement));
  } else {
    ListCell *cell = nullptr;
    foreach (cell, reinterpret_cast<const AlterTableStmt *>(statement)->cmds)
      look_at_command(&found, static_cast<const AlterTableCmd *>(lfirst(cell)));
  }
  if (found.untrusted) charge(found);
}

}  // namespace redoubt::pg
