// plan/tag_table.h - a table of node kinds, looked up by tag.
//
// Made when compiled; a tag that has no row is not known.
// Covered by test/metering, whose cases meet each kind.
#ifndef REDOUBT_PG_PLAN_TAG_TABLE_H
#define REDOUBT_PG_PLAN_TAG_TABLE_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Where a node has a member that is a node or a list; 0: none.
using Member = std::uint16_t;
#define REDOUBT_MEMBER(type, member) static_cast<::redoubt::pg::Member>(offsetof(type, member))

template <typename T = Node *>
T member_of(const void *node, Member member) noexcept {
  return *reinterpret_cast<const T *>(static_cast<const char *>(node) + member);
}

// The nodes there, one or a list of them.
inline List *list_at(const void *node, Member member) {
  auto *there = member != 0 ? member_of(node, member) : nullptr;
  return there == nullptr || IsA(there, List) ? reinterpret_cast<List *>(there) : list_make1(there);
}

// Rows have a member `tag`.
template <typename Row, std::size_t N>
class TagTable {
 public:
  constexpr explicit TagTable(const Row (&rows)[N]) noexcept : rows_(rows) {
    for (std::size_t i = 0; i < N; ++i) place_[rows[i].tag] = static_cast<std::uint8_t>(i + 1);
  }

  // The row of a kind of node, or null.
  const Row *find(NodeTag tag) const noexcept {
    const int at = tag < kTags ? place_[tag] : 0;
    return at != 0 ? &rows_[at - 1] : nullptr;
  }

 private:
  static constexpr int kTags = 600;  // more than there are; a row beyond would not compile
  static_assert(N < 255);

  const Row *rows_;
  std::uint8_t place_[kTags] = {};
};

}  // namespace redoubt::pg
#endif
