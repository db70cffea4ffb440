// lease.cpp - see lease.h: where this backend's leases are.
//
// Covered by sql/limits_statement.sql.
#include "pg/boundary.h"

#include "pg/lease.h"
#include "pg/meter_function.h"
#include "pg/read_meter.h"

namespace redoubt::pg {

bool leases_give_back(Oid token_type, Operation operation) noexcept {
  const bool output = read_meters_give_back(token_type, operation);
  const bool inside = meters_give_back(token_type, operation);
  return output || inside;
}

}  // namespace redoubt::pg
