// plaintext.cpp - see plaintext.h.
#include "pg/base/boundary.h"

#include "pg/base/events.h"
#include "pg/base/plaintext.h"

extern "C" {
static void plaintext_room_freed(void *freed);
}

namespace redoubt::pg {
namespace {

// One long value is no reason to keep its memory.
constexpr std::size_t kMostKept = 64 * 1024;

using Buffers = std::array<std::string, 4>;

// Made at the first use and never freed: no static destructors.
struct State {
  Buffers *buffers;
  FormatBatch *batch;
  bool used;  // since they were wiped
};
constinit State state = {};

// Room for a value, and what PostgreSQL calls before it frees it.
struct Room {
  MemoryContextCallback callback;
  bytea *value;
  std::size_t size;
};

void wipe(std::string &text) noexcept {
  text.resize(text.capacity());  // also what an earlier, longer value left
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

State &used_state() {
  if (state.buffers == nullptr) {
    state.buffers = new Buffers();
  }
  state.used = true;
  return state;
}

void wipe_buffers() noexcept {
  if (!state.used) return;
  for (std::string &text : *state.buffers) {
    wipe(text);
    if (text.capacity() > kMostKept) text = std::string();
  }
  if (state.batch != nullptr) state.batch->wipe();
  state.used = false;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static void plaintext_room_freed(void *freed) {
  const auto *room = static_cast<redoubt::pg::Room *>(freed);
  OPENSSL_cleanse(VARDATA(room->value), room->size);
}
}

namespace redoubt::pg {

[[gnu::hot]] void plaintext_transaction(XactEvent event) {
  if (transaction_is_over(event)) wipe_buffers();
}

std::string &plaintext_buffer(PlaintextStep step, std::size_t size) {
  std::string &text = (*used_state().buffers)[static_cast<std::size_t>(step)];
  if (text.capacity() < size) {
    std::string longer;
    longer.reserve(std::max(size, 2 * text.capacity()));
    wipe(text);
    text.swap(longer);
  }
  text.clear();
  return text;
}

std::string_view plaintext_kept(PlaintextStep step) noexcept {
  return state.buffers != nullptr ? (*state.buffers)[static_cast<std::size_t>(step)] : std::string_view();
}

FormatBatch &plaintext_batch() {
  State &now = used_state();
  if (now.batch == nullptr) now.batch = new FormatBatch();
  return *now.batch;
}

bytea *plaintext_room(std::size_t size) {
  auto *room = static_cast<Room *>(palloc(sizeof(Room)));
  *room = {
      {shielded<plaintext_room_freed, WARNING>, room, nullptr}, static_cast<bytea *>(palloc(VARHDRSZ + size)), size};
  SET_VARSIZE(room->value, VARHDRSZ + size);
  MemoryContextRegisterResetCallback(CurrentMemoryContext, &room->callback);
  return room->value;
}

bytea *plaintext_copy(std::span<const std::uint8_t> value) {
  bytea *copy = plaintext_room(value.size());
  std::copy(value.begin(), value.end(), reinterpret_cast<std::uint8_t *>(VARDATA(copy)));
  return copy;
}

}  // namespace redoubt::pg
