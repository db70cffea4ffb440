// read_meter.cpp - meters output rows at the DestReceiver.
//
// One unit per non-null protected value of a row; the elements of an array and
// the attributes of a row value count singly.  Charged before the row is handed
// on.  Values that the output function will reveal are not counted here: it
// charges them itself, as reveal or masked.  Whether it will is asked for every
// row, because a row can change the setting or the role (set_config).  Tokens
// that go to a tuple store are charged when they come out of it (token_io.cpp).
// What is metered is the top of each plan; values that leave in the middle of a
// plan (aggregates, functions, writes to other tables) are not seen here.
// Covered by sql/reads.sql and test/isolation/specs/shared_budget.spec.
#include "pg/boundary.h"

#include "pg/gate.h"
#include "pg/labels.h"
#include "pg/limits.h"
#include "pg/policy.h"
#include "pg/read_meter.h"
#include "pg/settings.h"
#include "pg/shared_memory.h"

namespace redoubt::pg {
namespace {

constexpr std::uint32_t kMaxLease = 64;

// Would an output function that makes text for the reader reveal values of this type now?
bool revealed_as_text(Oid token_type) {
  const auto wanted = static_cast<Reveal>(setting_reveal);
  if (wanted == Reveal::token) return false;
  if (wanted != Reveal::automatic) return true;
  const TypePolicy *policy = policy_require(token_type);
  return gate_allows_implicit(policy, Privilege::reveal) || gate_allows_implicit(policy, Privilege::masked);
}

// Destinations whose rows leave the reader's control.  Parallel workers hand
// rows to their leader, which meters them.
bool leaves(CommandDest dest) noexcept { return dest != DestNone && dest != DestTupleQueue; }

// A token stays a token in a new table, in a function's result or in a portal's
// tuple store, where it is met again; a labelled plaintext value does not.
bool stays_protected(CommandDest dest) noexcept {
  return dest == DestIntoRel || dest == DestTransientRel || dest == DestSQLFunction || dest == DestTuplestore;
}

ReadLease *find_lease(ReadMeter *meter, Oid token_type) noexcept {
  for (int i = 0; i < meter->leases; ++i)
    if (meter->lease[i].token_type == token_type) return &meter->lease[i];
  return nullptr;
}

void add_column(ReadMeter *meter, const MeteredColumn &column) {
  const Oid token_type = column.token_type;
  meter->column[meter->columns++] = column;
  if (find_lease(meter, token_type) == nullptr) meter->lease[meter->leases++] = {token_type, 0, 1, 0};
}

void allocate(ReadMeter *meter, const QueryDesc *query, int targets) {
  const auto slots = static_cast<Size>(targets) * kMaxCarried;
  MemoryContext context = query->estate->es_query_cxt;
  meter->column = static_cast<MeteredColumn *>(MemoryContextAlloc(context, slots * sizeof(MeteredColumn)));
  meter->lease = static_cast<ReadLease *>(MemoryContextAlloc(context, slots * sizeof(ReadLease)));
}

void find_columns(ReadMeter *meter, const QueryDesc *query, CommandDest dest) {
  const List *targets = query->plannedstmt->planTree->targetlist;
  const bool makes_text = delivery_makes_text(query);
  int attribute = 0;
  ListCell *cell = nullptr;
  foreach (cell, targets) {
    const auto *target = static_cast<const TargetEntry *>(lfirst(cell));
    if (target->resjunk) continue;
    ++attribute;
    const Oid labelled = label_token_type(target->resorigtbl, target->resorigcol);
    const Oid type = exprType(reinterpret_cast<const Node *>(target->expr));
    const CarriedTokens *carried = OidIsValid(labelled) ? nullptr : policy_carried(type);
    if (carried != nullptr && (carried->size == 0 || stays_protected(dest))) continue;
    if (meter->column == nullptr) allocate(meter, query, list_length(targets));
    if (carried == nullptr) {
      add_column(meter, {attribute, labelled, 1, false, false});
      continue;
    }
    const bool is_array = OidIsValid(get_element_type(getBaseType(type)));
    for (int i = 0; i < carried->size; ++i)
      add_column(meter, {attribute, carried->item[i].token_type, carried->item[i].count, is_array, makes_text});
  }
}

// Elements of an array that are not null.
std::uint32_t elements(const ArrayType *array) {
  const int all = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
  int nulls = 0;
  if (const bits8 *bitmap = ARR_NULLBITMAP(array))
    for (int i = 0; i < all; ++i) nulls += (bitmap[i / 8] >> (i % 8) & 1) == 0 ? 1 : 0;
  return static_cast<std::uint32_t>(all - nulls);
}

std::uint32_t units(const MeteredColumn *column, TupleTableSlot *slot) {
  bool null = true;
  const Datum value = slot_getattr(slot, column->attribute, &null);
  if (null || (column->makes_text && revealed_as_text(column->token_type))) return 0;
  if (!column->is_array) return column->count;
  return column->count * elements(DatumGetArrayTypeP(value));
}

void charge(ReadMeter *meter, const MeteredColumn *column, std::uint32_t wanted) {
  ReadLease *lease = find_lease(meter, column->token_type);
  while (lease->held < wanted) {
    lease->held += limits_lease(lease->token_type, Operation::read, std::max(lease->next, wanted - lease->held),
                                &lease->leased_at);
    lease->next = std::min(lease->next * 2, kMaxLease);
  }
  lease->held -= wanted;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static bool read_meter_receive(TupleTableSlot *slot, DestReceiver *self) {
  using namespace redoubt::pg;
  auto *meter = reinterpret_cast<ReadMeter *>(self);
  for (int i = 0; i < meter->columns; ++i)
    if (const std::uint32_t wanted = units(&meter->column[i], slot)) charge(meter, &meter->column[i], wanted);
  meter->frame->delivering = true;
  const bool more = meter->inner->receiveSlot(slot, meter->inner);
  meter->frame->delivering = false;
  return more;
}
static void read_meter_startup(DestReceiver *self, int operation, TupleDesc descriptor) {
  auto *meter = reinterpret_cast<redoubt::pg::ReadMeter *>(self);
  meter->inner->rStartup(meter->inner, operation, descriptor);
}
static void read_meter_shutdown(DestReceiver *self) {
  auto *meter = reinterpret_cast<redoubt::pg::ReadMeter *>(self);
  meter->inner->rShutdown(meter->inner);
}
static void read_meter_destroy(DestReceiver *self) {
  auto *meter = reinterpret_cast<redoubt::pg::ReadMeter *>(self);
  meter->inner->rDestroy(meter->inner);
}
}

namespace redoubt::pg {

void read_meter_attach(ReadMeter *meter, QueryDesc *query, DeliveryFrame *frame) {
  meter->inner = nullptr;
  meter->column = nullptr;
  meter->columns = meter->leases = 0;
  meter->frame = frame;
  const CommandDest dest = query->dest->mydest;
  const bool returns_rows = query->operation == CMD_SELECT || query->plannedstmt->hasReturning;
  if (!returns_rows || !leaves(dest)) return;
  find_columns(meter, query, dest);
  const bool modifying_copy = dest == DestCopyOut && query->operation != CMD_SELECT;
  if (meter->columns == 0 && !modifying_copy) return;
  meter->inner = query->dest;
  meter->pub = {read_meter_receive, read_meter_startup, read_meter_shutdown, read_meter_destroy, dest};
  query->dest = &meter->pub;
}

void read_meter_detach(ReadMeter *meter, QueryDesc *query) noexcept {
  if (meter->inner != nullptr) query->dest = meter->inner;
  meter->inner = nullptr;
  for (int i = 0; i < meter->leases; ++i)
    if (meter->lease[i].held > 0)
      limits_refund(meter->lease[i].token_type, Operation::read, meter->lease[i].held, meter->lease[i].leased_at);
  meter->leases = 0;
}

bool relation_is_protected(Oid relid) {
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (relation == nullptr) return false;
  bool found = false;
  const TupleDesc descriptor = RelationGetDescr(relation);
  for (int i = 0; i < descriptor->natts && !found; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
    if (attribute->attisdropped) continue;
    found = policy_carried(attribute->atttypid)->size > 0 || OidIsValid(label_token_type(relid, attribute->attnum));
  }
  relation_close(relation, AccessShareLock);
  return found;
}

}  // namespace redoubt::pg
