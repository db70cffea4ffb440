// ddl_meter.cpp - see ddl_meter.h.  What expressions mention is ddl_expressions.h; the
// commands of maintenance are ddl_maintenance.h.
//
// Rows are counted by a scan beforehand.  An index is built of dead rows too, so that
// deleting them first would hide them: what indexes evaluate counts every row version.
// Covered by sql/ddl_metering.sql and test/metering.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/ddl/ddl_expressions.h"
#include "pg/ddl/ddl_maintenance.h"
#include "pg/ddl/ddl_meter.h"
#include "pg/meter/deferred_errors.h"
#include "pg/protect/protected_columns.h"
#include "pg/meter/query_meter.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "access/tableam.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "optimizer/optimizer.h"
#include "catalog/partition.h"
#include "parser/parse_type.h"
#include "partitioning/partdesc.h"
#include "utils/partcache.h"
}

namespace redoubt::pg {
namespace {

// Calls visit(column) for each protected column of the relation; a charge in it may rebuild
// the registry's entry.
template <typename Visit>
void each_protected_column(Oid relid, Visit &&visit) {
  for (int i = 0;; ++i) {
    const ProtectedRelation *relation = protected_relation(relid);
    if (relation == nullptr || i >= relation->size) return;
    const ProtectedColumn column = relation->column[i];
    visit(column);
  }
}

void meter_expressions(List **types, const DdlExpressions &found, Rows counted) {
  List *probed = NIL;
  ListCell *cell = nullptr;
  const List *tables = ddl_tables(found.relid);
  foreach (cell, tables) {
    const Oid relid = lfirst_oid(cell);
    each_protected_column(relid, [&](const ProtectedColumn &column) {
      const Oid type = column.source.token_type;
      if (!column_named(found.used, relid, column.attno)) return;
      ddl_touch(types, type);
      if (column_named(found.given, relid, column.attno)) ddl_charge_rows(relid, column, counted);
      auto *name = makeString(get_attname(relid, column.attno, false));
      if (!column_named(found.decides, relid, column.attno) || list_member(probed, name)) return;
      probed = lappend(probed, name);  // partitions share the column
      limits_charge(type, Operation::probe, 1);
    });
  }
}

// The key of a partitioned table and of those above it, by the names of columns.
void add_partition_key(DdlExpressions *found, Oid parent) {
  const List *ancestors = get_rel_relispartition(parent) ? get_partition_ancestors(parent) : NIL;
  ListCell *cell = nullptr;
  const List *tables = lcons_oid(parent, list_copy(ancestors));
  foreach (cell, tables) {
    Relation relation = table_open(lfirst_oid(cell), AccessShareLock);
    PartitionKey key = RelationGetPartitionKey(relation);
    Bitmapset *used = nullptr;
    pull_varattnos(reinterpret_cast<Node *>(key->partexprs), 1, &used);
    const bool untrusted = calls_untrusted(reinterpret_cast<Node *>(key->partexprs));
    for (int i = 0; i < key->partnatts; ++i)
      used = bms_add_member(used, key->partattrs[i] - FirstLowInvalidHeapAttributeNumber);
    int member = -1;
    while ((member = bms_next_member(used, member)) >= 0) {
      const auto attno = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
      if (attno <= 0) continue;
      char *name = get_attname(RelationGetRelid(relation), attno, false);
      found->used.name = lappend(found->used.name, name);
      found->decides.name = lappend(found->decides.name, name);
      if (untrusted) found->given.name = lappend(found->given.name, name);
    }
    table_close(relation, AccessShareLock);
  }
}

// A new bound is checked on the rows of the partition, and of the default partition.
void meter_bound(List **types, Oid parent, Oid partition) {
  if (!OidIsValid(parent) || get_rel_relkind(parent) != RELKIND_PARTITIONED_TABLE) return;
  DdlExpressions found = {partition, {}, {}, {}};
  add_partition_key(&found, parent);
  if (OidIsValid(partition)) meter_expressions(types, found, Rows::visible);
  Relation relation = table_open(parent, AccessShareLock);
  found.relid = get_default_oid_from_partdesc(RelationGetPartitionDesc(relation, true));
  table_close(relation, AccessShareLock);
  if (OidIsValid(found.relid)) meter_expressions(types, found, Rows::visible);
}

bool rewrites(const AlterTableCmd *command) {
  if (compat_sets_expression(command)) return true;
  switch (command->subtype) {
    case AT_AddColumn:
    case AT_AlterColumnType:
    case AT_SetLogged:
    case AT_SetUnLogged:
    case AT_SetAccessMethod:
      return true;
    default:
      return false;
  }
}

void meter_alter(List **types, Oid relid, const AlterTableStmt *alter) {
  DdlExpressions found = {relid, {}, {}, {}};
  ddl_expressions_alter(&found, alter);
  meter_expressions(types, found, Rows::visible);
  bool rewritten = false;
  ListCell *cell = nullptr;
  foreach (cell, alter->cmds) {
    const auto *command = static_cast<const AlterTableCmd *>(lfirst(cell));
    rewritten |= rewrites(command);
    if (command->subtype == AT_AttachPartition)
      meter_bound(types, relid,
                  RangeVarGetRelid(reinterpret_cast<const PartitionCmd *>(command->def)->name, AccessShareLock, true));
  }
  const List *tables = rewritten ? ddl_tables(relid) : NIL;
  foreach (cell, tables) ddl_meter_rewrite(types, lfirst_oid(cell));
}

// The constraint that ALTER DOMAIN adds (as parsed) or validates calls untrusted code.
bool domain_check_untrusted(const AlterDomainStmt *alter, Oid domain) {
  if (alter->subtype == 'C') {
    DdlExpressions found = {};
    found.relid = InvalidOid;
    ddl_expressions_add(&found, reinterpret_cast<const Constraint *>(alter->def)->raw_expr, false);
    return found.given.row || found.given.name != NIL;
  }
  const Oid constraint = get_domain_constraint_oid(domain, alter->name, true);
  HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
  if (!HeapTupleIsValid(tuple)) return false;
  bool null = true;
  const Datum stored = SysCacheGetAttr(CONSTROID, tuple, Anum_pg_constraint_conbin, &null);
  auto *expression = null ? nullptr : static_cast<Node *>(stringToNode(TextDatumGetCString(stored)));
  ReleaseSysCache(tuple);
  return calls_untrusted(expression);
}

// Columns of the domain, and of domains over it.
void meter_domain(List **types, Oid domain, bool untrusted) {
  check_stack_depth();
  List *inner = NIL;
  ScanKeyData keys[] = {catalog_key(Anum_pg_depend_refclassid, TypeRelationId),
                        catalog_key(Anum_pg_depend_refobjid, domain)};
  catalog_scan(DependRelationId, DependReferenceIndexId, keys, [&](const CatalogRow &row) {
    const auto *dependent = row.as<Form_pg_depend>();
    if (dependent->classid == TypeRelationId && get_typtype(dependent->objid) == TYPTYPE_DOMAIN)
      inner = lappend_oid(inner, dependent->objid);
    if (dependent->classid != RelationRelationId || dependent->objsubid <= 0) return;
    each_protected_column(dependent->objid, [&](const ProtectedColumn &column) {
      if (column.attno != dependent->objsubid) return;
      ddl_touch(types, column.source.token_type);
      limits_charge(column.source.token_type, Operation::probe, 1);
      if (untrusted) ddl_charge_rows(dependent->objid, column, Rows::visible);
    });
  });
  ListCell *cell = nullptr;
  foreach (cell, inner) meter_domain(types, lfirst_oid(cell), untrusted);
}

void meter_alter_domain(List **types, const AlterDomainStmt *alter) {
  if (alter->subtype != 'C' && alter->subtype != 'V') return;
  if (alter->subtype == 'C' && reinterpret_cast<const Constraint *>(alter->def)->skip_validation) return;
  const Oid domain = LookupTypeNameOid(nullptr, makeTypeNameFromNameList(alter->typeName), true);
  if (OidIsValid(domain) && compat_owns_type(domain, GetUserId()))
    meter_domain(types, domain, domain_check_untrusted(alter, domain));
}

// The command itself refuses anyone but the owner.
Oid own_relation(const RangeVar *name) {
  const Oid relid = name != nullptr ? RangeVarGetRelid(name, AccessShareLock, true) : InvalidOid;
  return OidIsValid(relid) && compat_owns_relation(relid, GetUserId()) ? relid : InvalidOid;
}

}  // namespace

List *ddl_meter(const Node *statement) {
  List *types = NIL;
  switch (nodeTag(statement)) {
    case T_AlterTableStmt: {
      const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
      if (const Oid relid = own_relation(alter->relation); OidIsValid(relid)) meter_alter(&types, relid, alter);
      break;
    }
    case T_IndexStmt: {
      const auto *index = reinterpret_cast<const IndexStmt *>(statement);
      if (index->transformed) break;  // copied by LIKE for a table that is still empty
      DdlExpressions found = {own_relation(index->relation), {}, {}, {}};
      if (!OidIsValid(found.relid)) break;
      ddl_expressions_index(&found, index);
      meter_expressions(&types, found, Rows::every_version);
      break;
    }
    case T_AlterDomainStmt:
      meter_alter_domain(&types, reinterpret_cast<const AlterDomainStmt *>(statement));
      break;
    case T_CreateStmt: {
      const auto *create = reinterpret_cast<const CreateStmt *>(statement);
      if (create->partbound == nullptr) break;
      meter_bound(&types, own_relation(static_cast<const RangeVar *>(linitial(create->inhRelations))), InvalidOid);
      break;
    }
    case T_CopyStmt: {
      const auto *copy = reinterpret_cast<const CopyStmt *>(statement);
      if (!copy->is_from || copy->relation == nullptr) break;
      const Oid relid = RangeVarGetRelid(copy->relation, AccessShareLock, true);
      if (!OidIsValid(relid)) break;
      each_protected_column(relid, [&](const ProtectedColumn &column) { ddl_touch(&types, column.source.token_type); });
      deferred_errors_note_table(relid);
      break;
    }
    case T_ConstraintsSetStmt:
      types = list_copy(deferred_errors_types());
      break;
    case T_TransactionStmt:
      if (reinterpret_cast<const TransactionStmt *>(statement)->kind == TRANS_STMT_ROLLBACK) deferred_errors_forget();
      break;
    default:
      ddl_meter_maintenance(&types, statement);
      break;
  }
  return types;
}

void ddl_meter_error(const List *token_types) noexcept {
  if (token_types == NIL || !error_may_carry_values()) return;
  ListCell *cell = nullptr;
  foreach (cell, token_types) limits_force(lfirst_oid(cell), Operation::read, 1);
}

List *ddl_tables(Oid relid) {
  List *tables = find_all_inheritors(relid, AccessShareLock, nullptr);
  if (get_rel_relkind(relid) != RELKIND_COMPOSITE_TYPE) return tables;
  const Oid type = get_rel_type_id(relid);
  catalog_scan(RelationRelationId, InvalidOid, {}, [&tables, type](const CatalogRow &row) {
    const auto *relation = row.as<Form_pg_class>();
    if (relation->reloftype == type)
      tables = list_concat_unique_oid(tables, find_all_inheritors(relation->oid, AccessShareLock, nullptr));
  });
  return tables;
}

}  // namespace redoubt::pg
