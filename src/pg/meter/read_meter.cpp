// read_meter.cpp - meters output rows at the DestReceiver.
//
// One unit per protected value of a row: a null in an unmodified column is none, the
// elements of an array count singly.  Charged before the row is handed on.  Values that
// the output function will reveal are not counted here: it charges them itself, as
// reveal or masked.  A source that only decided that the row is there costs a probe.
// Covered by sql/reads.sql, test/metering and test/isolation/specs/limit_shared.spec.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/reveal/gate.h"
#include "pg/meter/meter_function.h"
#include "pg/types/token_type.h"
#include "pg/meter/query_meter.h"
#include "pg/meter/read_meter.h"
#include "pg/base/settings.h"
#include "pg/protect/value_count.h"
#include "pg/base/varlena_view.h"
#include "pg/tokens/token_io.h"
#include "pg/tokens/token_value.h"

namespace redoubt::pg {
namespace {

// The values of a column in a row.
std::uint32_t column_values(const MeteredColumn &column, TupleTableSlot *slot) {
  bool null = true;
  const Datum value = slot_getattr(slot, column.attribute, &null);
  if (null && (column.pure || column.many)) return 0;
  return column.many ? flow_cost(column.count, value_elements(value, column.type)) : column.count;
}

// Asked for every row, because a row can change the setting or the role (set_config).
[[gnu::always_inline]] inline bool pays_itself(const QueryMeter *meter, const MeteredColumn &column) {
  if (column.charged) return true;
  return column.revealable && setting_reveal != static_cast<int>(Reveal::token) &&
         read_is_revealed(meter->budget[column.budget].lease.token_type) &&
         (!column.as_text || (delivery_to_reader() && !delivery_innermost->printed.differ()));
}

[[gnu::noinline]] void charge_mixed_row(QueryMeter *meter, TupleTableSlot *slot) {
  for (int i = 0; i < meter->budgets; ++i) meter->budget[i].wanted = meter->budget[i].fixed;
  std::uint32_t instead = meter->instead;
  for (int i = 0; i < meter->columns; ++i) {
    const MeteredColumn &column = meter->column[i];
    const std::uint32_t values = column_values(column, slot);
    const bool left_to_output = !column.opened && pays_itself(meter, column);
    // The output function has not been called for a null, nor for a value beside those of the column.
    const bool unseen = left_to_output && (column.sometimes || slot_attisnull(slot, column.attribute));
    if (values > 0 && !unseen) instead &= ~column.settles;
    if (!column.opened && !left_to_output) meter->budget[column.budget].wanted += values;
  }
  for (const int i : bits_of(instead)) ++meter->budget[query_meter_budget(meter, i, Operation::probe)].wanted;
  for (int i = 0; i < meter->budgets; ++i)
    if (meter->budget[i].wanted > 0 && meter->budget[i].lease.operation == Operation::probe)
      meter->budget[i].wanted =
          static_cast<std::uint32_t>(meter->probes.ask(kAnswer, meter->budget[i].type, meter->budget[i].wanted));
  for (int i = 0; i < meter->budgets; ++i)
    if (meter->budget[i].wanted > 0) lease_take(&meter->budget[i].lease, meter->budget[i].wanted);
}

bool is_text(Oid type) { return type == TEXTOID || type == VARCHAROID || type == BPCHAROID; }

// Charges what is delivered of opened values, and returns the row as the reader may see it.
[[gnu::noinline]] TupleTableSlot *deliver_opened(ReadMeter *meter, TupleTableSlot *slot) {
  TupleTableSlot *shown = slot;
  for (int i = 0; i < meter->query->columns; ++i) {
    const MeteredColumn &column = meter->query->column[i];
    const std::uint32_t values = column.opened ? column_values(column, slot) : 0;
    bool null = true;
    const Datum value = values > 0 ? slot_getattr(slot, column.attribute, &null) : Datum{0};
    if (values == 0) continue;
    Lease &lease = meter->query->budget[column.budget].lease;
    const TokenType *type = nullptr;
    const Reveal form = token_io_deliver(lease.token_type, values, &type);
    lease.taken += form == Reveal::plain ? values : 0;
    if (form == Reveal::plain || null) continue;
    if (!is_text(column.type))
      ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                      errmsg("a value of type %s cannot be masked", format_type_be(column.type)),
                      errhint("It was computed from values of token type %s; the privilege to reveal these shows it.",
                              type->name),
                      errhidestmt(true)));
    if (shown == slot) {
      slot_getallattrs(slot);
      shown = MakeSingleTupleTableSlot(slot->tts_tupleDescriptor, &TTSOpsVirtual);
      const auto columns = static_cast<std::size_t>(slot->tts_tupleDescriptor->natts);
      std::copy_n(slot->tts_values, columns, shown->tts_values);
      std::copy_n(slot->tts_isnull, columns, shown->tts_isnull);
      ExecStoreVirtualTuple(shown);
    }
    shown->tts_values[column.attribute - 1] = PointerGetDatum(
        column.pure ? token_mask_text(type, varlena_text(DatumGetTextPP(value))) : token_masked(type, {}));
  }
  return shown;
}

inline void charge_row(QueryMeter *meter, TupleTableSlot *slot) {
  if (meter->single) [[likely]]
    lease_take(&meter->budget[0].lease,
               pays_itself(meter, meter->column[0]) ? 0 : column_values(meter->column[0], slot));
  else
    charge_mixed_row(meter, slot);
}

// Rows of one unmodified column, and in a frame whose expressions go to the reader as well as its rows.
bool is_plain(const QueryMeter *meter, const DeliveryFrame *frame) noexcept {
  return meter != nullptr && meter->single && meter->column[0].pure && !meter->column[0].many && frame->evaluates;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
[[gnu::hot]] static bool read_meter_receive(TupleTableSlot *slot, DestReceiver *self) {
  using namespace redoubt::pg;
  auto *meter = reinterpret_cast<ReadMeter *>(self);
  if (meter->query != nullptr) charge_row(meter->query, slot);
  meter->frame->delivering = true;
  const bool more = meter->inner->receiveSlot(slot, meter->inner);
  meter->frame->delivering = false;
  return more;
}
// Rows with values that were opened inside the server.
static bool read_meter_receive_opened(TupleTableSlot *slot, DestReceiver *self) {
  using namespace redoubt::pg;
  auto *meter = reinterpret_cast<ReadMeter *>(self);
  charge_row(meter->query, slot);
  if (meter->row == nullptr)
    meter->row = AllocSetContextCreate(meter->query->estate->es_query_cxt, "redoubt masked row", ALLOCSET_SMALL_SIZES);
  meter->frame->delivering = true;
  MemoryContext caller = MemoryContextSwitchTo(meter->row);
  TupleTableSlot *const shown = deliver_opened(meter, slot);
  MemoryContextSwitchTo(caller);
  const bool more = meter->inner->receiveSlot(shown, meter->inner);
  meter->frame->delivering = false;
  if (shown != slot) ExecDropSingleTupleTableSlot(shown);
  MemoryContextReset(meter->row);
  return more;
}
// The common case, see is_plain.
[[gnu::hot]] static bool read_meter_receive_plain(TupleTableSlot *slot, DestReceiver *self) {
  using namespace redoubt::pg;
  const auto *meter = reinterpret_cast<ReadMeter *>(self);
  const MeteredColumn &column = meter->query->column[0];
  Lease &lease = meter->query->budget[0].lease;
  if (slot->tts_nvalid < column.attribute) slot_getsomeattrs(slot, column.attribute);
  const std::uint32_t wanted = slot->tts_isnull[column.attribute - 1] ? 0 : column.count;
  if (lease.held < wanted || setting_reveal != static_cast<int>(Reveal::token)) [[unlikely]]
    return read_meter_receive(slot, self);
  lease.held -= wanted;
  lease.taken += wanted;
  return meter->inner->receiveSlot(slot, meter->inner);
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

[[gnu::hot]] void read_meter_wrap(ReadMeter *meter, QueryDesc *query, DeliveryFrame *frame) {
  meter->inner = nullptr;
  meter->frame = frame;
  meter->query = query_meter_find(query->estate);
  if (meter->query != nullptr)
    query_meter_prepare(meter->query, query->dest->mydest, delivery_makes_text(query),
                        delivery_store_is_printed(frame));
  const CommandDest dest = query->dest->mydest;
  const bool modifying_copy = dest == DestCopyOut && query->operation != CMD_SELECT;
  if ((meter->query == nullptr || meter->query->budgets == 0) && !modifying_copy) return;
  meter->inner = query->dest;
  meter->row = nullptr;
  meter->pub = {meter->query != nullptr && meter->query->opened ? shielded<read_meter_receive_opened>
                : is_plain(meter->query, frame)                 ? shielded<read_meter_receive_plain>
                                                                : shielded<read_meter_receive>,
                shielded<read_meter_startup>, shielded<read_meter_shutdown>, shielded<read_meter_destroy>, dest};
  query->dest = &meter->pub;
}

[[gnu::hot]] void read_meter_detach(ReadMeter *meter, QueryDesc *query) noexcept {
  if (meter->inner != nullptr) query->dest = meter->inner;
  meter->inner = nullptr;
  if (meter->query == nullptr) return;
  for (int i = 0; i < meter->query->budgets; ++i) lease_refund(&meter->query->budget[i].lease);
  meter_refund_query(query->estate->es_query_cxt);
}

Operation read_revealed_as(Oid token_type) {
  const auto wanted = static_cast<Reveal>(setting_reveal);
  if (wanted == Reveal::masked) return Operation::masked;
  if (wanted == Reveal::plain) return Operation::reveal;
  return gate_allows_implicit(token_type_require(token_type), Privilege::reveal) ? Operation::reveal
                                                                                 : Operation::masked;
}

bool read_is_revealed(Oid token_type) {
  const auto wanted = static_cast<Reveal>(setting_reveal);
  if (wanted == Reveal::token) return false;
  if (wanted != Reveal::automatic) return true;
  const TokenType *type = token_type_require(token_type);
  return gate_allows_implicit(type, Privilege::reveal) || gate_allows_implicit(type, Privilege::masked);
}

}  // namespace redoubt::pg
