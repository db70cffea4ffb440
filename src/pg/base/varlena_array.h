// varlena_array.h - arrays whose elements have a length of their own (text, bytea, sealed tokens), read and made
// element by element without a copy of each.
//
// Invariant: an array that is made begins with the header of the one it is made from, so that dimensions, bounds and
// nulls are the same.  Its elements are written straight into its memory, which grows as a whole: one allocation of
// many elements instead of one for each.
// Covered by sql/arrays.sql.
#ifndef REDOUBT_PG_BASE_VARLENA_ARRAY_H
#define REDOUBT_PG_BASE_VARLENA_ARRAY_H

#include "pg/base/boundary.h"

#include "pg/base/varlena_view.h"

namespace redoubt::pg {

// array_count counts the elements that are not null.
inline int array_count(const ArrayType *array) {
  const int size = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
  const bits8 *const there = ARR_NULLBITMAP(array);
  if (there == nullptr) return size;
  int count = 0;
  for (int i = 0; i < size; ++i) count += there[i / 8] >> i % 8 & 1;
  return count;
}

// VarlenaArrayReader gives the elements of an array that are not null, one after the other.
class VarlenaArrayReader {
 public:
  explicit VarlenaArrayReader(ArrayType *array) : at_(ARR_DATA_PTR(array)), left_(array_count(array)) {}
  int left() const noexcept { return left_; }
  const varlena *next() {
    const char *const element = at_;
    at_ += INTALIGN(VARSIZE_ANY(at_));
    --left_;
    return reinterpret_cast<const varlena *>(element);
  }

 private:
  const char *at_;
  int left_;
};

// VarlenaArrayMaker is an array in the making.
class VarlenaArrayMaker {
 public:
  // An array of `element`, in the shape of `like`; mostly its elements will be as long as those of `like` and `more`
  // bytes.
  VarlenaArrayMaker(ArrayType *like, Oid element, std::size_t more = 0)
      : used_(static_cast<std::size_t>(ARR_DATA_OFFSET(like))) {
    const std::size_t wanted = VARSIZE(like) + static_cast<std::size_t>(array_count(like)) * INTALIGN(more);
    room_ = std::max(used_, std::min<std::size_t>(wanted, MaxAllocSize));
    array_ = static_cast<char *>(palloc(room_));
    memcpy(array_, like, used_);
    header()->elemtype = element;
  }

  // add returns where the contents of the next element go, `size` bytes; valid until the next add.
  char *add(std::size_t size) {
    last_ = used_;
    const std::size_t whole = INTALIGN(VARHDRSZ + size);
    if (room_ - used_ < whole) grow(whole);
    end_last(size);
    return VARDATA(array_ + last_);
  }

  // shorten leaves the last element its first `size` bytes.
  void shorten(std::size_t size) { end_last(size); }

  void add(std::string_view contents) { memcpy(add(contents.size()), contents.data(), contents.size()); }

  ArrayType *finish() {
    SET_VARSIZE(array_, used_);
    return header();
  }

 private:
  ArrayType *header() const noexcept { return reinterpret_cast<ArrayType *>(array_); }
  void end_last(std::size_t size) {
    used_ = last_ + INTALIGN(VARHDRSZ + size);
    // Padding is part of the array's image.  An element that was shortened has its contents there already.
    for (std::size_t at = last_ + VARHDRSZ + size; at < used_; ++at) array_[at] = '\0';
    SET_VARSIZE(array_ + last_, VARHDRSZ + size);
  }
  void grow(std::size_t whole) {
    if (!AllocSizeIsValid(used_ + whole))
      ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                      errmsg("array size exceeds the maximum allowed (%d)", static_cast<int>(MaxAllocSize)),
                      errhidestmt(true)));
    room_ = std::min<std::size_t>(std::max(2 * room_, used_ + whole), MaxAllocSize);
    array_ = static_cast<char *>(repalloc(array_, room_));
  }

  char *array_;
  std::size_t used_;
  std::size_t room_;
  std::size_t last_ = 0;  // where the last element begins
};

}  // namespace redoubt::pg
#endif
