// rewrap_column.cpp - what redoubt.rewrap_column() does in one transaction: a batch of rows of a table whose tokens in
// a column are sealed anew.
//
// A row is written as CLUSTER or VACUUM FULL would write it, not as UPDATE does: its value is what it was, so no
// trigger, rule, policy or constraint is asked, those of foreign keys included.  To them the bytes would seem another
// value: ON UPDATE SET NULL would delete references.  Indexes and generated columns follow; their functions run as the
// table's owner in a restricted operation, as those of REINDEX do.  Logical decoding sees an UPDATE.
//
// Rows are seen as a dirty snapshot has them: the newest version, also where it is not committed.  A row that somebody
// else holds is passed over, or, when the batch is told to stay, ends it; nobody is waited for while a row is locked
// here, but by an exclusion constraint, of which a deadlock may come: it ends one of the two, and the batch can be run
// again. What is passed over, or written elsewhere meanwhile, is found by the next pass.  A pass goes by place, and a
// row that is written meanwhile may come to lie behind it: so when one has found nothing, rewrap_left() looks at the
// rows of one snapshot, wherever they are, and says whether it was the last.
//
// Invariant: a row is replaced only while it is locked and its bytes are those that were read.
// Locks: ROW EXCLUSIVE on the table, and the rows of the batch, to the end of the transaction.
// Covered by sql/rewrap_column.sql, test/isolation/specs/rewrap_column.spec and test/tap/rewrap_column.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/compat.h"
#include "pg/base/shared_memory.h"
#include "pg/keys/rewrap_value.h"
#include "pg/types/token_type.h"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "executor/nodeModifyTable.h"
#include "optimizer/optimizer.h"
}

namespace redoubt::pg {
namespace {

constexpr int kMaxBatch = 1000000;

struct Batch {
  Relation relation;
  AttrNumber column;
  Oid type;
  bool generates;  // a stored generated column is made of it
  EState *executor;
  ResultRelInfo *target;
  TupleTableSlot *made;  // the row to be written
  TupleTableSlot *locked;
  Rewrap rewrap;
  bool found;  // a row that is still to be done, or was done: there has to be another pass
};

char *relation_name(Relation relation) {
  return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                    RelationGetRelationName(relation));
}

[[noreturn]] void refuse_relation(Relation relation, const char *why, const char *hint) {
  ereport(ERROR,
          (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("the tokens of %s are not sealed anew", relation_name(relation)),
           errdetail("%s", why), errhint("%s", hint)));
  pg_unreachable();
}

void require_relation(Relation relation) {
  const char kind = relation->rd_rel->relkind;
  if (kind == RELKIND_MATVIEW)
    refuse_relation(relation, "It is a materialized view.", "REFRESH it when the tables that it reads are done.");
  if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
    refuse_relation(relation, "It is no table.", "Name the table that holds them.");
  if (RELATION_IS_OTHER_TEMP(relation))
    refuse_relation(relation, "It is a temporary table of another session.", "It ends with that session.");
  if (kind == RELKIND_RELATION && relation->rd_tableam->scan_set_tidrange == nullptr)
    refuse_relation(relation, "Its access method cannot be read in parts.",
                    "Write them anew with UPDATE, as a role that may reveal and tokenize.");
}

// Opens a table that holds rows itself; null where it was dropped meanwhile.
Relation open_table(Oid relid, LOCKMODE lock) {
  Relation relation = try_relation_open(relid, lock);
  if (relation == nullptr) return nullptr;
  require_relation(relation);
  if (relation->rd_rel->relkind != RELKIND_RELATION)
    refuse_relation(relation, "It is partitioned.", "redoubt.rewrap_column() takes its partitions one by one.");
  return relation;
}

AttrNumber require_column(Relation relation, const char *name) {
  const AttrNumber column = get_attnum(RelationGetRelid(relation), name);
  if (column == InvalidAttrNumber)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("column \"%s\" of %s does not exist", name, relation_name(relation))));
  if (column < 0) refuse_relation(relation, "It is a system column.", "Name the column that holds the tokens.");
  const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(relation), column - 1);
  if (attribute->attgenerated != '\0')
    refuse_relation(relation, "The column is generated.", "It follows the columns that it is generated from.");
  rewrap_require_column(name, attribute->atttypid);
  return column;
}

// Is a stored generated column made of the column?
bool generates(Relation relation, AttrNumber column) {
  const TupleConstr *constraints = RelationGetDescr(relation)->constr;
  if (constraints == nullptr || !constraints->has_generated_stored) return false;
  for (int i = 0; i < constraints->num_defval; ++i) {
    const AttrDefault &value = constraints->defval[i];
    if (TupleDescAttr(RelationGetDescr(relation), value.adnum - 1)->attgenerated != ATTRIBUTE_GENERATED_STORED)
      continue;
    Bitmapset *columns = nullptr;
    pull_varattnos(static_cast<Node *>(stringToNode(value.adbin)), 1, &columns);
    if (bms_is_member(column - FirstLowInvalidHeapAttributeNumber, columns)) return true;
  }
  return false;
}

LockTupleMode lock_mode(const Batch &batch) {
  if (batch.generates) return LockTupleExclusive;
  Bitmapset *keys = RelationGetIndexAttrBitmap(batch.relation, INDEX_ATTR_BITMAP_KEY);
  return bms_is_member(batch.column - FirstLowInvalidHeapAttributeNumber, keys) ? LockTupleExclusive
                                                                                : LockTupleNoKeyExclusive;
}

// Puts the new value into the row.
void make_row(Batch &batch, TupleTableSlot *was, Datum value) {
  TupleTableSlot *made = batch.made;
  const auto columns = static_cast<std::size_t>(was->tts_tupleDescriptor->natts);
  ExecClearTuple(made);
  slot_getallattrs(was);
  memcpy(made->tts_values, was->tts_values, sizeof(Datum) * columns);
  memcpy(made->tts_isnull, was->tts_isnull, sizeof(bool) * columns);
  made->tts_values[batch.column - 1] = value;
  ExecStoreVirtualTuple(made);
  made->tts_tableOid = RelationGetRelid(batch.relation);
  if (batch.generates) ExecComputeStoredGenerated(batch.target, batch.executor, made, CMD_INSERT);
}

// False: somebody else holds the row or has changed it.
bool write_row(Batch &batch, TupleTableSlot *row, Datum value) {
  ItemPointerData place = row->tts_tid;
  TM_FailureData failure;
  const CommandId command = GetCurrentCommandId(true);
  ExecClearTuple(batch.locked);
  if (table_tuple_lock(batch.relation, &place, GetActiveSnapshot(), batch.locked, command, lock_mode(batch),
                       LockWaitSkip, 0, &failure) != TM_Ok)
    return false;
  make_row(batch, batch.locked, value);
  compat_replace_row(batch.target, batch.executor, &place, batch.made, command);
  ResetPerTupleExprContext(batch.executor);
  return true;
}

// How a row came out.
enum class Row : std::uint8_t { done, busy };

Row rewrap_row(Batch &batch, TupleTableSlot *row, bool uncommitted) {
  bool null = false;
  const Datum was = slot_getattr(row, batch.column, &null);
  if (null) return Row::done;
  const int64 before = batch.rewrap.resealed;
  const Datum made = rewrap_value(&batch.rewrap, batch.type, was);
  if (batch.rewrap.resealed == before) return Row::done;
  batch.found = true;
  if (!uncommitted && write_row(batch, row, made)) return Row::done;
  batch.rewrap.resealed = before;
  return Row::busy;
}

struct Outcome {
  bool busy;
  int64 unreadable_before;
  ItemPointerData first_unreadable;  // invalid: none
  ItemPointerData last;              // invalid: the end
};

// Runs through at most `limit` rows behind `after`, to the end of page `pages`.
Outcome rewrap_rows(Batch &batch, ItemPointerData after, BlockNumber pages, int limit, bool stay) {
  Outcome outcome = {};
  ItemPointerSetInvalid(&outcome.first_unreadable);
  ItemPointerSetInvalid(&outcome.last);
  if (pages == 0) return outcome;
  ItemPointerData from = after;
  ItemPointerData to;
  ItemPointerSetOffsetNumber(&from, OffsetNumberNext(ItemPointerGetOffsetNumberNoCheck(&after)));
  ItemPointerSet(&to, pages - 1, MaxOffsetNumber);
  SnapshotData dirty;
  InitDirtySnapshot(dirty);
  TupleTableSlot *row = table_slot_create(batch.relation, nullptr);
  TableScanDesc scan = table_beginscan_tidrange(batch.relation, &dirty, &from, &to);
  MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "redoubt rewrap", ALLOCSET_DEFAULT_SIZES);
  MemoryContext old = MemoryContextSwitchTo(each);
  for (int looked = 0; looked < limit; ++looked) {
    CHECK_FOR_INTERRUPTS();
    if (!table_scan_getnextslot_tidrange(scan, ForwardScanDirection, row)) {
      ItemPointerSetInvalid(&outcome.last);
      break;
    }
    const int64 unreadable = batch.rewrap.unreadable;
    const Row came_out = rewrap_row(batch, row, TransactionIdIsValid(dirty.xmin));
    if (batch.rewrap.unreadable > unreadable && !ItemPointerIsValid(&outcome.first_unreadable))
      outcome.first_unreadable = row->tts_tid;
    ExecClearTuple(batch.made);
    ExecClearTuple(batch.locked);
    MemoryContextReset(each);
    if (came_out == Row::busy) outcome.busy = true;
    if (came_out == Row::busy && stay) {
      if (looked == 0) outcome.last = after;
      break;
    }
    outcome.last = row->tts_tid;
  }
  MemoryContextSwitchTo(old);
  MemoryContextDelete(each);
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(row);
  return outcome;
}

// The table's own functions run as its owner, who gets no more out of it than by REINDEX.
Outcome rewrap_as_owner(Batch &batch, ItemPointerData after, BlockNumber pages, int limit, bool stay) {
  Oid save_user = InvalidOid;
  int save_context = 0;
  GetUserIdAndSecContext(&save_user, &save_context);
  SetUserIdAndSecContext(batch.relation->rd_rel->relowner, save_context | SECURITY_RESTRICTED_OPERATION);
  const int settings = NewGUCNestLevel();
  compat_restrict_search_path();
  batch.executor = CreateExecutorState();
  MemoryContext old = MemoryContextSwitchTo(batch.executor->es_query_cxt);
  batch.target = makeNode(ResultRelInfo);
  InitResultRelInfo(batch.target, batch.relation, 0, nullptr, 0);
  ExecOpenIndices(batch.target, false);
  batch.made = MakeSingleTupleTableSlot(RelationGetDescr(batch.relation), &TTSOpsVirtual);
  batch.locked = table_slot_create(batch.relation, nullptr);
  const Outcome outcome = rewrap_rows(batch, after, pages, limit, stay);
  ExecDropSingleTupleTableSlot(batch.made);
  ExecDropSingleTupleTableSlot(batch.locked);
  ExecCloseIndices(batch.target);
  MemoryContextSwitchTo(old);
  FreeExecutorState(batch.executor);
  AtEOXact_GUC(false, settings);
  SetUserIdAndSecContext(save_user, save_context);
  return outcome;
}

}  // namespace
}  // namespace redoubt::pg

// rewrap_tables(regclass, name) -> regclass[]: the tables that hold the column's rows.
REDOUBT_FUNCTION(redoubt_rewrap_tables) {
  using namespace redoubt::pg;
  const char *column = NameStr(*PG_GETARG_NAME(1));
  require_preloaded();
  require_kek();
  PreventCommandIfReadOnly("redoubt.rewrap_column()");
  Relation relation = relation_open(PG_GETARG_OID(0), AccessShareLock);
  require_relation(relation);
  (void)require_column(relation, column);
  relation_close(relation, AccessShareLock);
  const List *all = find_all_inheritors(PG_GETARG_OID(0), AccessShareLock, nullptr);
  auto *tables = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<std::size_t>(list_length(all))));
  int size = 0;
  for (const Oid table : oids_of(all)) {
    const char kind = get_rel_relkind(table);
    if (kind == RELKIND_RELATION) tables[size++] = ObjectIdGetDatum(table);
    if (kind == RELKIND_FOREIGN_TABLE)
      ereport(WARNING, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("\"%s\" is a foreign table; its tokens are not sealed anew", get_rel_name(table))));
  }
  PG_RETURN_ARRAYTYPE_P(construct_array(tables, size, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT));
}

// rewrap_left(regclass, name) -> boolean: whether a row that is seen now has a token that rewrap_batch() would seal
// anew.
REDOUBT_FUNCTION(redoubt_rewrap_left) {
  using namespace redoubt::pg;
  require_preloaded();
  require_kek();
  Relation relation = open_table(PG_GETARG_OID(0), AccessShareLock);
  if (relation == nullptr) PG_RETURN_BOOL(false);
  const AttrNumber column = require_column(relation, NameStr(*PG_GETARG_NAME(1)));
  const Oid type = TupleDescAttr(RelationGetDescr(relation), column - 1)->atttypid;
  Rewrap rewrap = {};
  rewrap.context = CurrentMemoryContext;
  TupleTableSlot *row = table_slot_create(relation, nullptr);
  TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
  MemoryContext each = AllocSetContextCreate(CurrentMemoryContext, "redoubt rewrap", ALLOCSET_DEFAULT_SIZES);
  MemoryContext old = MemoryContextSwitchTo(each);
  while (rewrap.resealed == 0 && table_scan_getnextslot(scan, ForwardScanDirection, row)) {
    CHECK_FOR_INTERRUPTS();
    bool null = false;
    const Datum value = slot_getattr(row, column, &null);
    if (!null) (void)rewrap_value(&rewrap, type, value);
    MemoryContextReset(each);
  }
  MemoryContextSwitchTo(old);
  MemoryContextDelete(each);
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(row);
  relation_close(relation, NoLock);
  PG_RETURN_BOOL(rewrap.resealed > 0);
}

// rewrap_batch(regclass, name, after tid, pages bigint, batch integer, stay boolean,
//   OUT resealed bigint, OUT again boolean, OUT busy boolean, OUT unreadable bigint, OUT first_unreadable tid, OUT last
//   tid)
REDOUBT_FUNCTION(redoubt_rewrap_batch) {
  using namespace redoubt::pg;
  for (const int argument : {0, 1, 3, 4, 5})
    if (PG_ARGISNULL(argument))
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("table, column and batch must not be null")));
  const int limit = PG_GETARG_INT32(4);
  const int64 pages = PG_GETARG_INT64(3);
  if (limit < 1 || limit > kMaxBatch)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a batch has 1 to %d rows", kMaxBatch)));
  if (pages < 0 || pages > MaxBlockNumber)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a table has 0 to %u pages", MaxBlockNumber)));
  require_preloaded();
  require_kek();
  PreventCommandIfReadOnly("redoubt.rewrap_column()");
  ItemPointerData after;
  ItemPointerSet(&after, 0, InvalidOffsetNumber);
  if (!PG_ARGISNULL(2)) after = *reinterpret_cast<ItemPointer>(PG_GETARG_POINTER(2));

  Outcome outcome = {};
  ItemPointerSetInvalid(&outcome.first_unreadable);
  ItemPointerSetInvalid(&outcome.last);
  Batch batch = {};
  batch.rewrap.context = CurrentMemoryContext;
  batch.relation = open_table(PG_GETARG_OID(0), RowExclusiveLock);
  if (batch.relation != nullptr) {
    const char *column = NameStr(*PG_GETARG_NAME(1));
    batch.column = require_column(batch.relation, column);
    batch.type = TupleDescAttr(RelationGetDescr(batch.relation), batch.column - 1)->atttypid;
    batch.generates = generates(batch.relation, batch.column);
    CheckCmdReplicaIdentity(batch.relation, CMD_UPDATE);
    outcome = rewrap_as_owner(batch, after, static_cast<BlockNumber>(pages), limit, PG_GETARG_BOOL(5));
    if (batch.rewrap.resealed > 0)
      audit_write(
          {.event = "key",
           .token_type = token_type_find(getBaseType(batch.type)) != nullptr ? getBaseType(batch.type) : InvalidOid,
           .operation = "rewrap_column",
           .count = batch.rewrap.resealed,
           .detail = psprintf("column %s of %s", quote_identifier(column), relation_name(batch.relation))});
    relation_close(batch.relation, NoLock);
  }

  TupleDesc descriptor = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
    elog(ERROR, "rewrap_batch must return a row");
  Datum values[] = {Int64GetDatum(batch.rewrap.resealed),
                    BoolGetDatum(batch.found),
                    BoolGetDatum(outcome.busy),
                    Int64GetDatum(batch.rewrap.unreadable),
                    PointerGetDatum(&outcome.first_unreadable),
                    PointerGetDatum(&outcome.last)};
  bool nulls[] = {
      false, false, false, false, !ItemPointerIsValid(&outcome.first_unreadable), !ItemPointerIsValid(&outcome.last)};
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}
