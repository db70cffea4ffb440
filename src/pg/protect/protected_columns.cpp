// protected_columns.cpp - the registry of protected columns, per backend.
//
// One entry per relation asked about, dropped stale by relcache invalidations; in
// front of it a direct-mapped table of relations known to have no protected column,
// which is what nearly every question is about.
// Labels themselves are read by labels.cpp, token types by types/token_type.cpp.
// Covered by sql/reads.sql and test/metering.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/hash_table.h"
#include "pg/protect/labels.h"
#include "pg/types/token_type.h"
#include "pg/protect/protected_columns.h"
#include "pg/protect/table_code.h"

extern "C" {
#include "catalog/pg_depend.h"
#include "rewrite/rewriteHandler.h"
}

namespace redoubt::pg {
namespace {

struct State {
  HTAB *relations;
  MemoryContext cache_context;
  Oid token_type_table;  // redoubt.token_type, as last seen
};
constinit State state = {};

Oid *front(Oid relid) noexcept { return &unprotected_relations[relid % kUnprotectedSize]; }

void forget_all() {
  std::fill(std::begin(unprotected_relations), std::end(unprotected_relations), InvalidOid);
  HASH_SEQ_STATUS sequence;
  hash_seq_init(&sequence, state.relations);
  while (auto *entry = static_cast<ProtectedRelation *>(hash_seq_search(&sequence))) entry->valid = false;
}

}  // namespace

void protected_relation_changed(Oid relid) {
  ++protected_generation;
  if (state.relations == nullptr) return;
  if (!OidIsValid(relid) || relid == state.token_type_table) return forget_all();
  if (*front(relid) == relid) *front(relid) = InvalidOid;
  if (auto *entry = static_cast<ProtectedRelation *>(hash_search(state.relations, &relid, HASH_FIND, nullptr)))
    entry->valid = false;
}

namespace {

// Entries found so far: a List of ProtectedColumn *, in the current memory context.
void add(List **found, const ProtectedColumn &column) {
  auto *copy = static_cast<ProtectedColumn *>(palloc(sizeof(ProtectedColumn)));
  *copy = column;
  *found = lappend(*found, copy);
}

const ProtectedColumn *find(const List *found, int attno) noexcept {
  for (const auto *column : list_of<const ProtectedColumn>(found))
    if (column->attno == attno) return column;
  return nullptr;
}

bool is_before(const ProtectedColumn &a, const ProtectedColumn &b) noexcept { return a.attno < b.attno; }

// The entries of one column.
std::span<const ProtectedColumn> entries(const ProtectedRelation *relation, AttrNumber attno) noexcept {
  if (relation == nullptr) return {};
  ProtectedColumn key = {};
  key.attno = attno;
  const auto range = std::equal_range(relation->column, relation->column + relation->size, key, is_before);
  return {range.first, range.second};
}

}  // namespace

Oid protected_domain_type(Oid type) {
  while (OidIsValid(type) && type >= FirstNormalObjectId && get_typtype(type) == TYPTYPE_DOMAIN) {
    if (const Oid token_type = label_domain_type(type); OidIsValid(token_type)) return token_type;
    type = catalog_field(TYPEOID, type, &FormData_pg_type::typbasetype);
  }
  return InvalidOid;
}

namespace {

// Token types by number of the column; InvalidOid where it has no label.
Oid *column_labels(Oid relid, int columns) {
  auto *label = static_cast<Oid *>(palloc0(sizeof(Oid) * static_cast<Size>(columns + 1)));
  for (const auto *labelled : list_of<const LabelledColumn>(labels_of_columns(relid))) {
    if (labelled->attno > 0 && labelled->attno <= columns && !OidIsValid(label[labelled->attno]))
      label[labelled->attno] = labelled->token_type;
  }
  return label;
}

void add_column(List **found, Oid relid, Oid label, const FormData_pg_attribute *attribute) {
  const AttrNumber attno = attribute->attnum;
  const Oid type = attribute->atttypid;
  const bool is_array = is_array_type(type);
  const Oid element = is_array ? get_element_type(getBaseType(type)) : type;
  if (!OidIsValid(label)) label = protected_domain_type(element);
  if (OidIsValid(label)) return add(found, {attno, 1, is_array, false, {relid, attno, label, false}});

  const CarriedTokens *carried = type_carried(type);
  for (int i = 0; i < carried->size; ++i)
    add(found, {attno, carried->item[i].count, is_array, false, {relid, attno, carried->item[i].token_type, true}});
  if (element < FirstNormalObjectId) return;

  // The row type of a table that has protected columns; its tokens are among those carried.
  const Oid row_of = get_typ_typrelid(getBaseType(element));
  if (!OidIsValid(row_of) || row_of == relid) return;
  const ProtectedRelation *other = protected_relation(row_of);
  if (other == nullptr) return;
  for (int i = 0; i < other->size; ++i) {
    const ProtectedColumn &field = other->column[i];
    if (!field.source.is_token)
      add(found, {attno, field.count, is_array, true, {row_of, field.attno, field.source.token_type, false}});
  }
}

// By a label, or because it holds nothing but tokens.
bool is_protected_as_a_whole(const List *found, const FormData_pg_attribute &attribute) {
  bool any = false;
  for (const auto *column : list_of<const ProtectedColumn>(found)) {
    if (column->attno != attribute.attnum || column->borrowed) continue;
    if (!column->source.is_token) return true;
    any = true;
  }
  return any && type_is_tokens(attribute.atttypid);
}

// Columns computed from a protected one are protected as it is, whether stored or not.
void add_generated(List **found, Relation relation) {
  const TupleDesc descriptor = RelationGetDescr(relation);
  if (!compat_has_generated(descriptor->constr)) return;
  for (int i = 0; i < descriptor->natts; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
    if (attribute->attisdropped || attribute->attgenerated == '\0') continue;
    for (auto *column : list_of<ProtectedColumn>(*found)) column->computed |= column->attno == attribute->attnum;
    // By the label of its domain; what it is computed from may be of another type, or several.
    const bool whole = is_protected_as_a_whole(*found, *attribute);
    List *counted = NIL;  // token types
    for (const int attno : members_of(columns_in(build_column_default(relation, attribute->attnum)))) {
      const ProtectedColumn *from = find(*found, attno);
      if (from == nullptr) continue;
      // Of an array, all elements may be in it, but for a number or the like.
      const bool gathers = from->is_array && (attribute->attlen < 0 || attribute->attlen > 8);
      const std::uint16_t values = gathers ? kMaxFlowCount : from->count;
      // Made from several values, it is as many.
      ProtectedColumn *same = nullptr;
      for (auto *column : list_of<ProtectedColumn>(*found))
        if (column->attno == attribute->attnum && !column->source.is_token && !column->borrowed &&
            column->source.token_type == from->source.token_type)
          same = column;
      const bool first = !list_member_oid(counted, from->source.token_type);
      counted = list_append_unique_oid(counted, from->source.token_type);
      if (whole && same == nullptr && from->source.is_token) continue;
      if (same != nullptr) {
        same->count = flow_count_sum(first ? 0 : same->count, values);
        continue;
      }
      ProtectedColumn column = *from;
      column.attno = attribute->attnum;
      column.count = values;
      column.is_array = false;
      column.borrowed = false;
      column.computed = true;
      column.source = {RelationGetRelid(relation), attribute->attnum, from->source.token_type, false};
      add(found, column);
    }
  }
}

// A column that an ancestor protects is the same source as the ancestor's: the rows of
// partitions are rows of one column.
void join_ancestors(const List *found, Oid relid) {
  if (found == NIL) return;
  for (const Oid relation : oids_of(catalog_parents(relid))) {
    const ProtectedRelation *parent = protected_relation(relation);
    for (auto *column : list_of<ProtectedColumn>(found)) {
      if (parent == nullptr || column->borrowed) continue;
      for (const ProtectedColumn &above : entries(parent, catalog_same_column(relid, column->attno, parent->relid)))
        if (above.source.token_type == column->source.token_type) column->source = above.source;
    }
  }
}

// The table that a TOAST table belongs to.
Oid toasted_table(Oid toast) {
  Oid table = InvalidOid;
  ScanKeyData keys[] = {catalog_key(Anum_pg_depend_classid, RelationRelationId),
                        catalog_key(Anum_pg_depend_objid, toast)};
  catalog_scan(DependRelationId, DependDependerIndexId, keys, [&table](const CatalogRow &row) {
    const auto *dependency = row.as<Form_pg_depend>();
    if (dependency->refclassid == RelationRelationId) table = dependency->refobjid;
  });
  return table;
}

// A chunk can be of any column: the first protected one pays.
void add_chunks(List **found, Oid toast) {
  constexpr AttrNumber kChunkData = 3;
  const ProtectedRelation *table = protected_relation(toasted_table(toast));
  if (table != nullptr)
    add(found, {kChunkData, 1, false, false, {toast, kChunkData, table->column[0].source.token_type, false}});
}

List *read_columns(ProtectedRelation *entry) {
  const Oid relid = entry->relid;
  List *found = NIL;
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr) return found;
  entry->is_partition = relation->rd_rel->relispartition;
  entry->row_security = relation->rd_rel->relrowsecurity;
  const char kind = relation->rd_rel->relkind;
  if (kind == RELKIND_TOASTVALUE) add_chunks(&found, relid);
  // What a view shows is found in the tables beneath, in every plan afresh.
  if (kind != RELKIND_VIEW && kind != RELKIND_INDEX && kind != RELKIND_PARTITIONED_INDEX && kind != RELKIND_SEQUENCE &&
      kind != RELKIND_TOASTVALUE) {
    const TupleDesc descriptor = RelationGetDescr(relation);
    const Oid *label = column_labels(relid, descriptor->natts);
    for (int i = 0; i < descriptor->natts; ++i)
      if (!TupleDescAttr(descriptor, i)->attisdropped)
        add_column(&found, relid, label[i + 1], TupleDescAttr(descriptor, i));
    add_generated(&found, relation);
    join_ancestors(found, relid);
  }
  relation_close(relation, AccessShareLock);
  return found;
}

void rebuild(ProtectedRelation *entry) {
  MemoryContext scratch =
      AllocSetContextCreate(CurrentMemoryContext, "redoubt protected columns read", ALLOCSET_SMALL_SIZES);
  MemoryContext old = MemoryContextSwitchTo(scratch);
  state.token_type_table = catalog_relation("token_type");
  entry->valid = true;  // before reading, so that an invalidation which arrives meanwhile sticks
  List *found = NIL;
  PG_TRY();
  { found = read_columns(entry); }
  PG_CATCH();
  {
    entry->valid = false;
    PG_RE_THROW();
  }
  PG_END_TRY();
  if (entry->column != nullptr) pfree(entry->column);
  entry->column = nullptr;
  entry->size = 0;
  if (found != NIL) {
    const Size bytes = sizeof(ProtectedColumn) * static_cast<Size>(list_length(found));
    entry->column = static_cast<ProtectedColumn *>(MemoryContextAlloc(state.cache_context, bytes));
    for (const auto *column : list_of<const ProtectedColumn>(found)) {
      // Generated ones came last; else they are in order.
      int at = entry->size++;
      for (; at > 0 && column->attno < entry->column[at - 1].attno; --at) entry->column[at] = entry->column[at - 1];
      entry->column[at] = *column;
    }
  }
  MemoryContextSwitchTo(old);
  MemoryContextDelete(scratch);
}

}  // namespace

bool is_array_type(Oid type) { return OidIsValid(get_element_type(getBaseType(type))); }

const ProtectedRelation *protected_relation_find(Oid relid) {
  if (state.relations == nullptr) {
    state.cache_context = AllocSetContextCreate(CacheMemoryContext, "redoubt protected columns", ALLOCSET_SMALL_SIZES);
    state.relations = hash_table_make<Oid, ProtectedRelation>("redoubt protected columns", 256, state.cache_context);
  }
  bool found = false;
  auto *entry = static_cast<ProtectedRelation *>(hash_search(state.relations, &relid, HASH_ENTER, &found));
  if (!found) {
    entry->valid = false;
    entry->size = 0;
    entry->column = nullptr;
  }
  // A row type that holds itself through other tables meets its own entry being
  // read: it counts as read, and what was found so far answers.
  if (!entry->valid) {
    rebuild(entry);
    entry = static_cast<ProtectedRelation *>(hash_search(state.relations, &relid, HASH_FIND, nullptr));
  }
  if (entry->size > 0) return protected_latest = entry;
  if (entry->valid) *front(relid) = relid;
  return nullptr;
}

Oid protected_column_type(Oid relid, AttrNumber attno) {
  const auto found = entries(protected_relation(relid), attno);
  return found.empty() ? InvalidOid : found.front().source.token_type;
}

bool column_keeps(Oid relid, AttrNumber attno, const Source &source, Oid copied) {
  bool kept = false;
  bool labelled = false;
  for (const ProtectedColumn &column : entries(protected_relation(relid), attno)) {
    if (column.borrowed || column.source.token_type != source.token_type) continue;
    kept = true;
    labelled |= !column.source.is_token;
  }
  if (!kept || labelled) return kept;
  const Oid type = get_atttype(relid, attno);
  return type_is_tokens(type) || (source.is_token && copied == type);
}

}  // namespace redoubt::pg
