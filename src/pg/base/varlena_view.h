// varlena_view.h - the contents of a text or bytea, packed or not, as a view.
//
// Invariant: the value is detoasted; the view lives as long as it does.
// Covered by every regression test.
#ifndef REDOUBT_PG_BASE_VARLENA_VIEW_H
#define REDOUBT_PG_BASE_VARLENA_VIEW_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

inline std::string_view varlena_text(const void *value) noexcept {
  return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

inline std::span<const std::uint8_t> varlena_bytes(const void *value) noexcept {
  return {reinterpret_cast<const std::uint8_t *>(VARDATA_ANY(value)),
          static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

}  // namespace redoubt::pg
#endif
