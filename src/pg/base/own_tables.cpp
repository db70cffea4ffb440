// own_tables.cpp - see own_tables.h.
//
// Covered by sql/audit.sql and sql/custom_types.sql.
#include "pg/base/boundary.h"

#include "pg/base/own_tables.h"

namespace redoubt::pg {
namespace {

// The triggers that the change a function of ours makes just now is still to fire, each once: whatever else
// changes the table meanwhile (a trigger, a rule) fires one more.  INSERT with ON CONFLICT fires those of
// UPDATE as well.
struct Expected {
  bool insert;
  bool update;
  bool remove;
};
constinit Expected expected = {};

}  // namespace

int own_table_write(OwnChange change, const char *sql, std::span<Oid> types, Datum *values, const char *nulls) {
  const bool both = change == OwnChange::inserts_or_updates;
  int result;
  expected = {both || change == OwnChange::inserts, both || change == OwnChange::updates, change == OwnChange::deletes};
  PG_TRY();
  { result = SPI_execute_with_args(sql, static_cast<int>(types.size()), types.data(), values, nulls, false, 0); }
  PG_CATCH();
  {
    expected = {};
    PG_RE_THROW();
  }
  PG_END_TRY();
  expected = {};
  return result;
}

bool own_table_change_expected(TriggerEvent event) noexcept {
  bool *const flag = TRIGGER_FIRED_BY_INSERT(event)   ? &expected.insert
                     : TRIGGER_FIRED_BY_UPDATE(event) ? &expected.update
                     : TRIGGER_FIRED_BY_DELETE(event) ? &expected.remove
                                                      : nullptr;
  return flag != nullptr && std::exchange(*flag, false);
}

bool own_table_inserting() noexcept { return expected.insert; }

}  // namespace redoubt::pg
