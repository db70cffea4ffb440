// table_code.cpp - see table_code.h.
//
// Read at analysis only, which is made anew after any relation has changed (meter/plan_cache.cpp).
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/hash_table.h"
#include "pg/base/node_walk.h"
#include "pg/protect/collations.h"
#include "pg/protect/function_trust.h"
#include "pg/types/token_type.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/standing_objects.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "catalog/pg_constraint.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/partcache.h"
#include "utils/rls.h"
}

namespace redoubt::pg {
namespace {

void add_columns(TableCode *code, Node *expression) {
  if (!calls_untrusted(expression)) return;
  Bitmapset *read = columns_in(expression);
  code->row_trigger |= bms_is_member(0, read);  // the whole row
  code->columns = bms_join(code->columns, bms_del_member(read, 0));
}

// What a bound of a partition computes of a row.  That of a hash partition is a call that leaves a lock on the table
// that it names, here always the partition's own.
Node *computed_by_bound(Node *bound) {
  const auto *call = reinterpret_cast<const FuncExpr *>(bound);
  const bool hashes = IsA(bound, FuncExpr) && call->funcid == F_SATISFIES_HASH_PARTITION;
  return hashes ? reinterpret_cast<Node *>(call->args) : bound;
}

// Calls visit(expression) for what the table computes of a row that is written: constraints, generated columns, bounds
// and keys of partitions, indexes.  The table's Vars are those of entry 1 of a range table.
template <typename Visit>
void each_expression(Relation relation, Visit &&visit) {
  const TupleDesc descriptor = RelationGetDescr(relation);
  const TupleConstr *constraints = descriptor->constr;
  for (int i = 0; constraints != nullptr && i < constraints->num_check; ++i)
    visit(static_cast<Node *>(stringToNode(constraints->check[i].ccbin)));
  for (int i = 0; compat_has_generated(constraints) && i < descriptor->natts; ++i)
    if (!TupleDescAttr(descriptor, i)->attisdropped && TupleDescAttr(descriptor, i)->attgenerated != '\0')
      visit(build_column_default(relation, i + 1));
  if (relation->rd_rel->relispartition)
    for (auto *bound : list_of<Node>(RelationGetPartitionQual(relation))) visit(computed_by_bound(bound));
  if (const PartitionKey key = RelationGetPartitionKey(relation); key != nullptr)
    visit(reinterpret_cast<Node *>(key->partexprs));
  each_index(relation, [&visit](Relation index) {
    visit(reinterpret_cast<Node *>(RelationGetIndexExpressions(index)));
    visit(reinterpret_cast<Node *>(RelationGetIndexPredicate(index)));
  });
}

// Calls visit(trigger, condition), where the condition is null for a trigger without one.
template <typename Visit>
void each_trigger(Relation relation, Visit &&visit) {
  const TriggerDesc *triggers = catalog_triggers(relation);
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
    const Trigger &trigger = triggers->triggers[i];
    visit(trigger, trigger.tgqual != nullptr ? static_cast<Node *>(stringToNode(trigger.tgqual)) : nullptr);
  }
}

// Has a key of the index a collation of its own?
bool is_collated(Relation index) {
  const Oid *keys = index->rd_indcollation;
  return std::any_of(keys, keys + index->rd_index->indnkeyatts,
                     [](Oid collation) { return collation >= FirstUnpinnedObjectId; });
}

// All that the table compares by, before a row is written.
void open_collations(Relation relation, CmdType command) {
  const auto open = [](Node *expression) {
    (void)any_node(expression, [](Node *node) {
      collations_open(node);
      return Step::into;
    });
  };
  each_trigger(relation, [&open](const Trigger &, Node *condition) { open(condition); });
  if (command == CMD_DELETE) return;
  collations_open_row(RelationGetDescr(relation));
  each_expression(relation, open);
  each_index(relation, [](Relation index) {
    for (int i = 0; i < index->rd_index->indnkeyatts; ++i) collation_open(index->rd_indcollation[i]);
  });
  if (const PartitionKey key = RelationGetPartitionKey(relation); key != nullptr)
    for (int i = 0; i < key->partnatts; ++i) collation_open(key->partcollation[i]);
}

// The columns in the key of a unique index or an exclusion constraint whose types are such.
template <typename Wanted>
Bitmapset *unique_keys_of(Relation relation, Relation index, Wanted &&is_wanted) {
  Bitmapset *columns = nullptr;
  const Form_pg_index form = index->rd_index;
  for (int i = 0; (form->indisunique || form->indisexclusion) && i < form->indnkeyatts; ++i)
    if (const AttrNumber attno = form->indkey.values[i];
        attno > 0 && is_wanted(TupleDescAttr(RelationGetDescr(relation), attno - 1)->atttypid))
      columns = bms_add_member(columns, attno);
  return columns;
}

// A violation of a unique or an exclusion constraint quotes its key as a whole, all elements of an array.
Bitmapset *quoted_arrays(Relation relation, Relation index) { return unique_keys_of(relation, index, is_array_type); }

bool fires(const Trigger &trigger, CmdType command) {
  if (trigger.tgisinternal || !TRIGGER_FOR_ROW(trigger.tgtype) || function_is_trusted(trigger.tgfoid)) return false;
  switch (command) {
    case CMD_INSERT:
      return TRIGGER_FOR_INSERT(trigger.tgtype);
    case CMD_UPDATE:
      return TRIGGER_FOR_UPDATE(trigger.tgtype);
    case CMD_DELETE:
      return TRIGGER_FOR_DELETE(trigger.tgtype);
    default:
      return true;  // MERGE: any of them
  }
}

// A key that is computed is made anew, of old values as well, with any column that it is computed from.
void add_cascaded(TableCode *code, Relation relation, AttrNumber attno) {
  code->cascaded = bms_add_member(code->cascaded, attno);
  if (TupleDescAttr(RelationGetDescr(relation), attno - 1)->attgenerated == '\0') return;
  const Bitmapset *from = columns_in(build_column_default(relation, attno));
  code->cascaded = bms_add_members(code->cascaded, from);
  code->columns = bms_add_members(code->columns, from);
}

// ON UPDATE CASCADE writes the new key into the referencing tables by a query that gets it
// as a parameter.  Adds those of the key's columns whose values come to rest in a column
// that does not keep them, over any number of tables.
void add_cascades(TableCode *code, Relation relation, List *path) {
  check_stack_depth();
  const TriggerDesc *triggers = catalog_triggers(relation);
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
    const Trigger &trigger = triggers->triggers[i];
    if (!trigger.tgisinternal || trigger.tgfoid != F_RI_FKEY_CASCADE_UPD) continue;
    const ForeignKey by = foreign_key(trigger.tgconstraint);
    TableCode further = {};
    Relation referencing = list_member_oid(path, by.relid) ? nullptr : try_relation_open(by.relid, AccessShareLock);
    if (referencing != nullptr) {
      add_cascades(&further, referencing, lappend_oid(list_copy(path), by.relid));
      relation_close(referencing, AccessShareLock);
    }
    for (int k = 0; k < by.keys; ++k) {
      const Oid relid = RelationGetRelid(relation);
      const Oid type = protected_column_type(relid, by.to[k]);
      const Oid is_of = get_atttype(relid, by.to[k]);
      const Source key = {relid, by.to[k], type, type_is_tokens(is_of)};
      if (OidIsValid(type) &&
          (!column_keeps(by.relid, by.from[k], key, is_of) || bms_is_member(by.from[k], further.cascaded)))
        add_cascaded(code, relation, by.to[k]);
    }
  }
}

void add_table(TableCode *code, Relation relation, CmdType command) {
  code->foreign |= relation->rd_rel->relkind == RELKIND_FOREIGN_TABLE;
  // A trusted trigger may have a condition that is not.
  each_trigger(relation, [&](const Trigger &trigger, Node *condition) {
    code->row_trigger |= fires(trigger, command) || calls_untrusted(condition);
  });
  if (command == CMD_DELETE) return;
  if (command != CMD_INSERT) add_cascades(code, relation, list_make1_oid(RelationGetRelid(relation)));
  each_expression(relation, [code](Node *expression) { add_columns(code, expression); });
  each_index(relation,
             [&](Relation index) { code->columns = bms_join(code->columns, quoted_arrays(relation, index)); });
}

}  // namespace

ForeignKey foreign_key(Oid constraint) {
  ForeignKey key = {};
  HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
  if (!HeapTupleIsValid(tuple)) return key;
  DeconstructFkConstraintRow(tuple, &key.keys, key.from, key.to, nullptr, nullptr, nullptr, nullptr, nullptr);
  key.relid = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple))->conrelid;
  ReleaseSysCache(tuple);
  return key;
}

Node *statistics_expressions(Oid statistics) {
  HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
  if (!HeapTupleIsValid(tuple)) return nullptr;
  Node *expressions = catalog_node(STATEXTOID, tuple, Anum_pg_statistic_ext_stxexprs);
  ReleaseSysCache(tuple);
  return expressions;
}

Bitmapset *rls_policy_columns(Oid relid, Oid user) {
  TableCode code = {};
  if (check_enable_rls(relid, user, true) != RLS_ENABLED) return nullptr;
  Relation relation = table_open(relid, AccessShareLock);
  if (relation->rd_rsdesc != nullptr)
    for (auto *each : list_of<RowSecurityPolicy>(relation->rd_rsdesc->policies))
      add_columns(&code, reinterpret_cast<Node *>(each->qual));
  table_close(relation, AccessShareLock);
  return code.columns;
}

Bitmapset *unique_keys(Relation relation, Relation index) {
  return unique_keys_of(relation, index, [](Oid type) { return !type_is_tokens(type); });
}

Bitmapset *columns_in(Node *expression, Index varno) {
  Bitmapset *read = nullptr;  // offset, so that it can hold system columns
  pull_varattnos(expression, varno, &read);
  Bitmapset *columns = nullptr;
  for (const int member : members_of(read))
    if (const int attno = member + FirstLowInvalidHeapAttributeNumber; attno >= 0)
      columns = bms_add_member(columns, attno);
  return columns;
}

bool calls_untrusted(const void *tree, bool in_queries) {
  return any_node(tree, [in_queries](Node *node) {
    if (IsA(node, Query) && !in_queries) return Step::past;
    const auto *cast = reinterpret_cast<const CoerceToDomain *>(node);
    const bool runs_code = IsA(node, CoerceToDomain) && type_runs_code(cast->resulttype);
    return runs_code || OidIsValid(node_untrusted(node)) ? Step::found : Step::into;
  });
}

namespace {

struct Parts {
  Oid relid;  // hash key
  std::uint64_t generation;
  List *tables;  // OIDs, in CacheMemoryContext
};
struct State {
  HTAB *parts;
  HTAB *code;  // of CodeEntry
};
constinit State state = {};

int checks(Relation relation) noexcept {
  const TupleConstr *constraints = RelationGetDescr(relation)->constr;
  return constraints != nullptr ? constraints->num_check : 0;
}

bool tells_of_equals(Relation relation, Relation index) {
  for (const int attno : members_of(unique_keys(relation, index)))
    if (OidIsValid(protected_column_type(RelationGetRelid(relation), static_cast<AttrNumber>(attno)))) return true;
  return false;
}

// Has any index of the table an expression, a collation, or a key that an error quotes, or that an insertion tells of?
// Those that a partition inherits are left out.
bool indexes_have_code(Relation relation, bool inherited_too) {
  bool any = false;
  each_index(relation, [&](Relation index) {
    any |= (inherited_too || !index->rd_rel->relispartition) &&
           (RelationGetIndexExpressions(index) != NIL || RelationGetIndexPredicate(index) != NIL ||
            is_collated(index) || quoted_arrays(relation, index) != nullptr || tells_of_equals(relation, index));
  });
  return any;
}

bool has_code(Relation relation) {
  return relation->rd_rel->relkind != RELKIND_RELATION || relation->rd_rel->relispartition || checks(relation) > 0 ||
         compat_has_generated(RelationGetDescr(relation)->constr) || relation->trigdesc != nullptr ||
         indexes_have_code(relation, true);
}

// Has a partition anything besides what it inherits?
bool has_code_of_its_own(Relation relation, int inherited_checks) {
  bool own = relation->rd_rel->relkind != RELKIND_RELATION || checks(relation) > inherited_checks;
  const TriggerDesc *triggers = relation->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) own |= !triggers->triggers[i].tgisclone;
  return own || indexes_have_code(relation, false);
}

List *find_parts(Oid relid) {
  Relation root = try_relation_open(relid, NoLock);
  if (root == nullptr) return NIL;
  List *parts = has_code(root) ? list_make1_oid(relid) : NIL;
  const int inherited = checks(root);
  const bool partitioned = root->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
  relation_close(root, NoLock);
  for (const Oid table : oids_of(partitioned ? find_all_inheritors(relid, NoLock, nullptr) : NIL)) {
    CHECK_FOR_INTERRUPTS();
    Relation relation = table != relid ? try_relation_open(table, AccessShareLock) : nullptr;
    if (relation == nullptr) continue;
    if (has_code_of_its_own(relation, inherited)) parts = lappend_oid(parts, table);
    relation_close(relation, AccessShareLock);  // and its lock
  }
  return parts;
}

}  // namespace

List *table_parts(Oid relid) {
  if (state.parts == nullptr)
    state.parts = hash_table_make<Oid, Parts>("redoubt parts of tables", 64, CacheMemoryContext);
  const std::uint64_t reading = protected_generation;  // a change that arrives meanwhile makes this stale
  if (const auto *known = static_cast<Parts *>(hash_search(state.parts, &relid, HASH_FIND, nullptr));
      known != nullptr && known->generation == reading)
    return list_copy(known->tables);
  List *parts = find_parts(relid);
  MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);
  List *kept = list_copy(parts);
  MemoryContextSwitchTo(old);
  bool found = false;
  auto *entry = static_cast<Parts *>(hash_search(state.parts, &relid, HASH_ENTER, &found));
  if (found) list_free(entry->tables);
  entry->tables = kept;
  entry->generation = reading;
  return parts;
}

namespace {

struct CodeKey {
  Oid relid;
  CmdType command;
};
struct CodeEntry {
  CodeKey key;
  std::uint64_t relations;  // protected_generation
  std::uint64_t trust;      // function_trust_generation
  TableCode code;           // sets in CacheMemoryContext
};

TableCode copy_code(const TableCode &code) {
  return {code.row_trigger, code.foreign, bms_copy(code.columns), bms_copy(code.computed), bms_copy(code.cascaded)};
}

// What stored generated columns of a table or partition are computed from, in the numbers of `relid`.
void add_computed(TableCode *code, Relation relation, Oid relid) {
  const TupleDesc descriptor = RelationGetDescr(relation);
  for (int i = 0; compat_has_generated(descriptor->constr) && i < descriptor->natts; ++i) {
    if (TupleDescAttr(descriptor, i)->attgenerated != ATTRIBUTE_GENERATED_STORED) continue;
    for (const int from : members_of(columns_in(build_column_default(relation, i + 1))))
      if (const int own = catalog_same_column(RelationGetRelid(relation), from, relid); own > 0)
        code->computed = bms_add_member(code->computed, own);
  }
}

}  // namespace

TableCode table_code(Oid relid, CmdType command) {
  if (state.code == nullptr)
    state.code = hash_table_make<CodeKey, CodeEntry>("redoubt code of tables", 16, CacheMemoryContext);
  const std::uint64_t relations = protected_generation;  // a change that arrives meanwhile makes this stale
  const std::uint64_t trust = function_trust_generation();
  const CodeKey key = {relid, command};
  const auto *known = static_cast<CodeEntry *>(hash_search(state.code, &key, HASH_FIND, nullptr));
  if (known != nullptr && known->relations == relations && known->trust == trust) return copy_code(known->code);
  TableCode code = {};
  each_table_part(relid, [&](Relation part) {
    open_collations(part, command);
    add_table(&code, part, command);
    add_computed(&code, part, relid);
  });
  MemoryContext old = MemoryContextSwitchTo(CacheMemoryContext);
  const TableCode kept = copy_code(code);
  MemoryContextSwitchTo(old);
  bool found = false;
  auto *entry = static_cast<CodeEntry *>(hash_search(state.code, &key, HASH_ENTER, &found));
  if (found) {
    bms_free(entry->code.columns);
    bms_free(entry->code.computed);
    bms_free(entry->code.cascaded);
  }
  *entry = {key, relations, trust, kept};
  return code;
}

bool table_calls(Oid relid, Oid function) {
  bool found = false;
  const auto look = [&](Node *expression) {
    found |= any_node(expression, [function](Node *node) {
      return calls_any(node, [function](Oid called) { return called == function; }) ? Step::found : Step::into;
    });
  };
  each_table_part(relid, [&](Relation part) {
    each_expression(part, look);
    each_trigger(part, [&](const Trigger &, Node *condition) { look(condition); });
  });
  return found;
}

}  // namespace redoubt::pg
