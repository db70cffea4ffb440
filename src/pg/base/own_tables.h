// own_tables.h - how functions of the extension write its own tables.
#ifndef REDOUBT_PG_BASE_OWN_TABLES_H
#define REDOUBT_PG_BASE_OWN_TABLES_H

#include "pg/base/catalog.h"

extern "C" {
#include "commands/trigger.h"
}

namespace redoubt::pg {

// own_table_write runs a statement of a function of ours on an own table, through the SPI connection at hand, and
// returns what SPI_execute_with_args does.  It writes no `policy` event, because the function records what it did
// itself. Every other change does, also one that the statement's triggers or rules make on the way.
enum class OwnChange : std::uint8_t { inserts, inserts_or_updates, updates, deletes };
int own_table_write(OwnChange change, const char *sql, std::span<Oid> types, Datum *values,
                    const char *nulls = nullptr);

// own_table_change_expected tells the statement trigger of an own table whether own_table_write makes this change.
bool own_table_change_expected(TriggerEvent event) noexcept;

// own_table_inserting: an INSERT of a function of ours is at hand, and none of a restore or by hand.
bool own_table_inserting() noexcept;

// own_table_as_owner connects to SPI and lets `run` write a table of the extension's as the table's owner, row security
// aside; returns the number of rows (SPI_processed).  An error restores the user.  `run` must keep plain data only.
template <typename Run>
uint64 own_table_as_owner(Oid relid, Run &&run);

template <typename Run>
uint64 own_table_as_owner(Oid relid, Run &&run) {
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<Run>>);
  Oid save_user = InvalidOid;
  int save_context = 0;
  GetUserIdAndSecContext(&save_user, &save_context);
  SetUserIdAndSecContext(catalog_owner(relid), save_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  run();
  const uint64 processed = SPI_processed;
  SPI_finish();
  SetUserIdAndSecContext(save_user, save_context);
  return processed;
}

}  // namespace redoubt::pg
#endif
