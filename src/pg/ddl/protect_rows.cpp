// protect_rows.cpp - the rows of a column that is being protected: filled and verified, some blocks in a transaction.
//
// Rows are read and written as the table holds them, without a query: no rule, policy, view or trigger has a say.  What
// may run is the table's own expressions of indexes, as the table's owner (protection.h).
// Covered by sql/protect_column.sql and test/tap/protect_online.pl.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/varlena_view.h"
#include "pg/ddl/protect_step.h"
#include "pg/limits/limits.h"
#include "pg/reveal/gate.h"
#include "pg/tokens/token_value.h"

extern "C" {
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_type_d.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
}

namespace redoubt::pg {
namespace {

// A transaction ends after about that long, because it holds locks on rows.
constexpr int kMilliseconds = 50;

struct Work {
  Protection protection;
  Relation relation;
  const TokenType *type;
  Oid source_type;
  FmgrInfo tokenize;
};

// What a block holds.
struct Block {
  const char *problem;  // of the first row that has one; static
  ItemPointerData place;
  int pending;      // values without a token
  bool unfinished;  // the time was up before all of these were filled
  ItemPointerData tids[MaxHeapTuplesPerPage];
};

// Is the token that of the value?  Charges a tokenization, because that is what a comparison tells.
bool is_token_of(const TokenType *type, Datum value, Datum token) {
  limits_charge(type->type, Operation::tokenize, 1);
  const varlena *opened = token_open(type, DatumGetByteaPP(token), true);
  return varlena_text(opened) == varlena_text(DatumGetTextPP(value));
}

// Why a value cannot be tokenized; null where it can.  Never with anything of the value.
const char *problem_of_value(const TokenType *type, Datum value) {
  if (protection_looks_like_token(type, value)) return "it begins as a token does, and would be taken for one";
  if (type->is_bytes) return nullptr;
  const redoubt::Refusal refusal = value_problem(type, varlena_text(DatumGetTextPP(value)));
  return refusal.ok() || (type->keeps_invalid && !refusal.absolute) ? nullptr : refusal.reason;
}

const char *problem_of_row(const Work *work, TupleTableSlot *slot) {
  const Protection &protection = work->protection;
  bool none = false;
  bool no_token = false;
  Datum value = slot_getattr(slot, protection.source, &none);
  const Datum token = slot_getattr(slot, protection.target, &no_token);
  if (none) return no_token ? nullptr : "its token is there without a value";
  value = protection_value(work->source_type, value);
  if (no_token) return problem_of_value(work->type, value);
  if (protection.step != ProtectStep::verify || is_token_of(work->type, value, token)) return nullptr;
  return "its token is not that of its value";
}

void read_block(Work *work, BlockNumber number, Block *block) {
  const Protection &protection = work->protection;
  ItemPointerData from;
  ItemPointerData to;
  ItemPointerSet(&from, number, FirstOffsetNumber);
  ItemPointerSet(&to, number, MaxOffsetNumber);
  block->problem = nullptr;
  block->pending = 0;
  block->unfinished = false;
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  TableScanDesc scan = table_beginscan_tidrange(work->relation, snapshot, &from, &to);
  TupleTableSlot *slot = table_slot_create(work->relation, nullptr);
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "redoubt verify", ALLOCSET_DEFAULT_SIZES);
  while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    MemoryContext outer = MemoryContextSwitchTo(context);
    const char *problem = problem_of_row(work, slot);
    MemoryContextSwitchTo(outer);
    MemoryContextReset(context);
    if (problem != nullptr) {
      block->problem = problem;
      block->place = slot->tts_tid;
      break;
    }
    if (!slot_attisnull(slot, protection.source) && slot_attisnull(slot, protection.target) &&
        block->pending < MaxHeapTuplesPerPage)
      block->tids[block->pending++] = slot->tts_tid;
  }
  MemoryContextDelete(context);
  ExecDropSingleTupleTableSlot(slot);
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
}

bool is_time_up(TimestampTz started) {
  return TimestampDifferenceExceeds(started, GetCurrentTimestamp(), kMilliseconds);
}

// Fills the rows that nobody has locked and nobody has changed meanwhile, which the trigger then has filled; returns
// how many.  A block may be too much for the time, where the table has many indexes or slow ones.
int fill_block(Work *work, Block *block, TimestampTz started, ResultRelInfo *table, EState *state) {
  const Protection &protection = work->protection;
  TupleDesc descriptor = RelationGetDescr(work->relation);
  TupleTableSlot *old = table_slot_create(work->relation, nullptr);
  TupleTableSlot *row = MakeSingleTupleTableSlot(descriptor, &TTSOpsVirtual);
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  int filled = 0;
  for (int i = 0; i < block->pending && !block->unfinished; ++i) {
    ItemPointerData tid = block->tids[i];
    TM_FailureData failure;
    if (table_tuple_lock(work->relation, &tid, snapshot, old, GetCurrentCommandId(true), LockTupleNoKeyExclusive,
                         LockWaitSkip, 0, &failure) != TM_Ok)
      continue;
    slot_getallattrs(old);
    ExecClearTuple(row);
    std::copy_n(old->tts_values, descriptor->natts, row->tts_values);
    std::copy_n(old->tts_isnull, descriptor->natts, row->tts_isnull);
    MemoryContext outer = MemoryContextSwitchTo(GetPerTupleMemoryContext(state));
    row->tts_values[protection.target - 1] =
        FunctionCall1(&work->tokenize, protection_value(work->source_type, old->tts_values[protection.source - 1]));
    row->tts_isnull[protection.target - 1] = false;
    ExecStoreVirtualTuple(row);
    compat_replace_row(table, state, &tid, row, GetCurrentCommandId(true));
    MemoryContextSwitchTo(outer);
    ExecClearTuple(row);
    ResetPerTupleExprContext(state);
    ++filled;
    block->unfinished = i + 1 < block->pending && is_time_up(started);
  }
  UnregisterSnapshot(snapshot);
  ExecDropSingleTupleTableSlot(row);
  ExecDropSingleTupleTableSlot(old);
  CommandCounterIncrement();
  return filled;
}

// Names the row by its primary key, where that is no value that is protected.
[[noreturn]] void refuse_row(Work *work, ItemPointer place, const char *problem) {
  const Oid relid = work->protection.relid;
  Oid types[] = {REGCLASSOID, INT2OID};
  Datum values[] = {ObjectIdGetDatum(relid), Int16GetDatum(work->protection.source)};
  const char *name = step_ask_text("SELECT redoubt.protect_row_name($1, $2)", types, values);
  const char *ctid = psprintf("(%u,%u)", ItemPointerGetBlockNumber(place), ItemPointerGetOffsetNumber(place));
  const char *row =
      step_ask_text(psprintf("SELECT coalesce(max(%s), 'ctid %s') FROM ONLY %s AS t WHERE t.ctid = '%s'::tid", name,
                             ctid, step_table_name(relid), ctid),
                    {}, nullptr);
  const bool written = strstr(problem, "its token") != nullptr;
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       errmsg("a row of table %s cannot be protected", step_table_name(relid)), errdetail("%s: %s", row, problem),
       errhint("%s", written ? "Something wrote the token column: CALL redoubt.protect_undo(...), then begin anew."
                             : "Change the value, then call again.  redoubt.check_protect() lists all such rows.")));
}

// Goes on from where the last call stopped, and says how to go on.
const char *work_on(Work *work, int batch) {
  Protection &protection = work->protection;
  const TimestampTz started = GetCurrentTimestamp();
  EState *state = CreateExecutorState();
  auto *table = makeNode(ResultRelInfo);
  InitResultRelInfo(table, work->relation, 0, nullptr, 0);
  ExecOpenIndices(table, false);
  auto *block = static_cast<Block *>(palloc(sizeof(Block)));
  bool locked = false;
  for (int rows = 0; !locked && protection.next_block < protection.blocks && rows < batch && !is_time_up(started);) {
    read_block(work, protection.next_block, block);
    if (block->problem != nullptr) refuse_row(work, &block->place, block->problem);
    const int filled = block->pending > 0 ? fill_block(work, block, started, table, state) : 0;
    protection.rows_done += filled;
    rows += std::max(filled, 1);
    // A row that was passed by is waited for when the others are done.
    locked = protection.step == ProtectStep::verify && filled < block->pending && !block->unfinished;
    if (block->pending == 0 || (protection.step == ProtectStep::fill && !block->unfinished)) ++protection.next_block;
  }
  ExecCloseIndices(table);
  FreeExecutorState(state);
  return locked ? "locked" : "again";
}

}  // namespace
const char *protect_rows(const StepCall &step, const StepMember &member) {
  Work work = {};
  Protection &protection = work.protection;
  bool moved = false;
  const auto open = [&](LOCKMODE mode) {
    work.relation = protection_open(member.relid, member.source, mode, &protection);
    moved = protection.file != work.relation->rd_rel->relfilenode;
  };
  if (!step_look(step, [&] {
        open(AccessShareLock);
        relation_close(work.relation, NoLock);
      }))
    return "retry";
  if (!moved && protection.step == ProtectStep::swap) {
    if (protection.horizon != 0) return "ready";
    // What filled has been committed.  A step by itself, so that what fails later does not take it back.
    protection.horizon = U64FromFullTransactionId(ReadNextFullTransactionId());
    protection_update(protection);
    return "next";
  }
  if (!step_try(step, [&] { LockRelationOid(member.relid, RowExclusiveLock); })) return "retry";
  open(NoLock);
  CheckCmdReplicaIdentity(work.relation, CMD_UPDATE);
  work.type = token_type_require(protection.token_type);
  work.source_type = get_atttype(protection.relid, protection.source);
  gate_require(work.type, Privilege::tokenize);
  fmgr_info(work.type->gate[static_cast<int>(Privilege::tokenize)], &work.tokenize);
  const char *state = "again";
  if (moved) {
    protection.step = ProtectStep::fill;
    protection.horizon = 0;
    protection.file = work.relation->rd_rel->relfilenode;
  } else {
    state = work_on(&work, step.batch);
    if (protection.next_block >= protection.blocks)
      protection.step = protection.step == ProtectStep::fill ? ProtectStep::verify : ProtectStep::swap;
  }
  if (moved || protection.next_block >= protection.blocks) {
    protection.next_block = 0;
    protection.blocks = RelationGetNumberOfBlocks(work.relation);
  }
  protection_update(protection);
  relation_close(work.relation, NoLock);
  return state;
}

}  // namespace redoubt::pg
