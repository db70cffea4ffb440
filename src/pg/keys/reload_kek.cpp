// reload_kek.cpp - redoubt.reload_kek(): another key-encryption key, or none as the previous one any more, in a running
// server.
//
// The settings are those of the configuration as this session has read it; the keys are put into use in all sessions at
// once.  From then on the trail is chained in a new segment, and new data keys are wrapped by the new one.
// Nothing may be lost by it: the key in use has to stay, as the previous one at least, and the previous one as long as
// data keys of this database are wrapped by it.
// Covered by test/tap/reload_kek.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/shared_memory.h"
#include "pg/keys/key_store.h"

namespace redoubt::pg {
namespace {

bool previous_wraps_keys() {
  for (const auto *row : list_of<const KeyRow>(key_store_rows()))
    if (strcmp(row->wrapped.kek, kek_fingerprint(KekRole::previous)) == 0) return true;
  return false;
}

void refuse(const KekReload &reload) {
  switch (reload.outcome) {
    case KekReloadOutcome::done:
      return;
    case KekReloadOutcome::unreadable:
      ereport(ERROR,
              (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("the key-encryption key was not changed: %s", reload.problem),
               errhint("Mend it before the server starts again: it would start without that key.")));
      break;
    case KekReloadOutcome::lost:
      ereport(ERROR,
              (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
               errmsg("the key-encryption key was not changed: %s, which is in use, would be lost", reload.problem),
               errhint("Configure it as the previous one, by redoubt.previous_kek_file or "
                       "redoubt.previous_kek_command, until redoubt.rewrap_keys() was called in every database.")));
      break;
    case KekReloadOutcome::busy:
      ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                      errmsg("the key-encryption key was not changed: another session is at it, or the server has had "
                             "too many"),
                      errhint("Try again, or restart the server.")));
  }
}

}  // namespace
}  // namespace redoubt::pg

// reload_kek(OUT kek_fingerprint text, OUT previous_kek_fingerprint text)
REDOUBT_FUNCTION(redoubt_reload_kek) {
  using namespace redoubt::pg;
  require_preloaded();
  const std::uint32_t before[] = {kek_number(), kek_number(KekRole::previous)};
  const bool keep_previous = kek_available(KekRole::previous) && previous_wraps_keys();
  refuse(kek_reload(keep_previous));
  const char *current = kek_fingerprint();
  const char *previous = kek_fingerprint(KekRole::previous);
  if (before[0] != kek_number() || before[1] != kek_number(KekRole::previous))
    audit_write(
        {.event = "key",
         .operation = "reload_kek",
         .detail = psprintf("key-encryption key %s%s%s", current, previous[0] != '\0' ? ", previous " : "", previous)});
  TupleDesc descriptor = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
    elog(ERROR, "reload_kek must return a row");
  bool nulls[] = {false, previous[0] == '\0'};
  Datum values[] = {CStringGetTextDatum(current), nulls[1] ? static_cast<Datum>(0) : CStringGetTextDatum(previous)};
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}
