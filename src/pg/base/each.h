// each.h - PostgreSQL's lists and sets in a for of C++: no cell or member is kept by hand.
//
//   for (const auto *target : list_of<const TargetEntry>(plan->targetlist))
//   for (const Oid index : oids_of(RelationGetIndexList(relation)))
//   for (const int attno : members_of(columns))
//   for (const int i : bits_of(mask))
//
// As with foreach(), what is appended to a list meanwhile is visited, too.
#ifndef REDOUBT_PG_BASE_EACH_H
#define REDOUBT_PG_BASE_EACH_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

struct EachEnd {};

// Item(cell) is what a cell of a list holds.
template <auto Item>
class ListItems {
 public:
  explicit ListItems(const List *list) noexcept : list_(list) {}
  auto operator*() const { return Item(list_nth_cell(list_, at_)); }
  void operator++() noexcept { ++at_; }
  bool operator!=(EachEnd) const noexcept { return at_ < list_length(list_); }
  ListItems begin() const noexcept { return *this; }
  EachEnd end() const noexcept { return {}; }

 private:
  const List *list_;
  int at_ = 0;
};

// Pointers, to nodes or whatever else is in the list.
template <typename T>
T *pointer_in(const ListCell *cell) noexcept {
  return static_cast<T *>(lfirst(cell));
}
template <typename T>
ListItems<pointer_in<T>> list_of(const List *list) noexcept {
  return ListItems<pointer_in<T>>(list);
}
inline Oid oid_in(const ListCell *cell) noexcept { return lfirst_oid(cell); }
inline ListItems<oid_in> oids_of(const List *list) noexcept { return ListItems<oid_in>(list); }
inline int int_in(const ListCell *cell) noexcept { return lfirst_int(cell); }
inline ListItems<int_in> ints_of(const List *list) noexcept { return ListItems<int_in>(list); }

class Members {
 public:
  explicit Members(const Bitmapset *set) noexcept : set_(set), at_(bms_next_member(set, -1)) {}
  int operator*() const noexcept { return at_; }
  void operator++() noexcept { at_ = bms_next_member(set_, at_); }
  bool operator!=(EachEnd) const noexcept { return at_ >= 0; }
  Members begin() const noexcept { return *this; }
  EachEnd end() const noexcept { return {}; }

 private:
  const Bitmapset *set_;
  int at_;
};
inline Members members_of(const Bitmapset *set) noexcept { return Members(set); }

class Bits {
 public:
  constexpr explicit Bits(std::uint32_t mask) noexcept : rest_(mask) {}
  constexpr int operator*() const noexcept { return std::countr_zero(rest_); }
  constexpr void operator++() noexcept { rest_ &= rest_ - 1; }
  constexpr bool operator!=(EachEnd) const noexcept { return rest_ != 0; }
  constexpr Bits begin() const noexcept { return *this; }
  constexpr EachEnd end() const noexcept { return {}; }

 private:
  std::uint32_t rest_;
};
constexpr Bits bits_of(std::uint32_t mask) noexcept { return Bits(mask); }

}  // namespace redoubt::pg
#endif
