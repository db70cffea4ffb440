// value_count.h - how many protected values one datum holds.
#ifndef REDOUBT_PG_PROTECT_VALUE_COUNT_H
#define REDOUBT_PG_PROTECT_VALUE_COUNT_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// The factor by which a per-element count grows: the number of elements of an array, for
// a row 1 and those of its arrays, 1 for anything else.
std::uint32_t value_elements(Datum value, Oid type);

}  // namespace redoubt::pg
#endif
