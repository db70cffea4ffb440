// plan/memo.cpp - see plan/memo.h.
//
// Covered by test/tap/planning.pl.
#include "pg/base/boundary.h"

#include "pg/plan/memo.h"

extern "C" {
#include "common/hashfn.h"
}

namespace redoubt::pg {

// Where the key is, or where it would be put.
Size FlowMemo::place(const MemoKey &key) const noexcept {
  Size at = hash_bytes(reinterpret_cast<const unsigned char *>(&key), sizeof key) & (slots_ - 1);
  while (slot_[at] != nullptr && memcmp(&slot_[at]->key, &key, sizeof key) != 0) at = (at + 1) & (slots_ - 1);
  return at;
}

const Flow *FlowMemo::find(const MemoKey &key) const noexcept {
  if (slots_ == 0) return nullptr;
  const MemoEntry *entry = slot_[place(key)];
  return entry != nullptr ? &entry->flow : nullptr;
}

void FlowMemo::grow() {
  MemoEntry **const old = slot_;
  const Size size = slots_;
  slots_ = size == 0 ? 64 : 2 * size;
  slot_ = static_cast<MemoEntry **>(palloc0(sizeof(MemoEntry *) * slots_));
  for (Size i = 0; i < size; ++i)
    if (old[i] != nullptr) slot_[place(old[i]->key)] = old[i];
  if (old != nullptr) pfree(static_cast<void *>(old));
}

void FlowMemo::add(const MemoKey &key, const Flow &flow) {
  if (2 * entries_ >= slots_) grow();
  MemoEntry *&entry = slot_[place(key)];
  if (entry == nullptr) {
    entry = static_cast<MemoEntry *>(palloc(sizeof(MemoEntry)));
    ++entries_;
  }
  entry->key = key;
  entry->flow = flow;
}

}  // namespace redoubt::pg
