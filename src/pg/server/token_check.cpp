// token_check.cpp - whether the keys and the vault of a database fit its tokens: redoubt.check_tokens().
//
// It looks at the first tokens of each column and tries to open them.  It reads tables itself, so no privilege on them
// is asked, no code of theirs runs, and nothing is charged; no value leaves it.  Format-preserving tokens cannot be
// told from others: of these check_restore() asks only whether their key is there.
//
// Locks: ACCESS SHARE on each table while it is looked at.
// Covered by test/tap/restore.pl.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "core/token.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/plaintext.h"
#include "pg/base/shared_memory.h"
#include "pg/base/varlena_view.h"
#include "pg/keys/key_store.h"
#include "pg/keys/keys.h"
#include "pg/types/token_type.h"
#include "pg/vault/vault_store.h"

extern "C" {
#include "access/tableam.h"
#include "utils/snapmgr.h"
}

namespace redoubt::pg {
namespace {

// How many tokens of a column are looked at.
constexpr int kLookedAt = 20;

struct Finding {
  Oid relid;
  AttrNumber column;
  const TokenType *type;
  int version;
  const char *problem;
};

// What keeps a token from being opened; null where nothing does.  Of a vaulted one the vault says, and of that it is
// asked only whether it was restored: single tokens may be forgotten.
const char *token_problem(const TokenType *type, Datum value, int *version) {
  if (type->vaulted) {
    *version = 0;
    return vault_has(type->class_id) ? nullptr : "is of a type of which the vault holds nothing";
  }
  const auto bytes = varlena_bytes(PG_DETOAST_DATUM(value));
  const auto view = token_parse(bytes);
  *version = 0;
  if (!view.ok()) return "is damaged";
  if (view->vaulted) return nullptr;
  *version = view->key_version;
  const WrappedKey key = key_store_read(NameStr(type->key), view->key_version);
  if (key.version == 0) return "names a version of its key that is missing";
  if (key.state == KeyState::destroyed) return "is of a version of its key that was destroyed";
  if (key_store_problem(key) != nullptr) return nullptr;  // verify_keys() says so
  if (key.state == KeyState::retired) return "is of a version of its key that is retired";
  std::string &out = plaintext_buffer(PlaintextStep::result, view->ciphertext.size());
  out.resize(view->ciphertext.size());
  std::size_t size = 0;
  const Status opened = keys_sealer(type, view->key_version)
                            ->open(*view, {reinterpret_cast<std::uint8_t *>(out.data()), out.size()}, size);
  (void)plaintext_buffer(PlaintextStep::result, 0);
  return opened == Status::ok ? nullptr : "is of another key with this name and version, or of another type";
}

List *note(List *findings, const Finding &finding, MemoryContext context) {
  for (const auto *known : list_of<const Finding>(findings)) {
    if (known->relid == finding.relid && known->column == finding.column && known->version == finding.version)
      return findings;
  }
  MemoryContext old = MemoryContextSwitchTo(context);
  auto *kept = static_cast<Finding *>(palloc(sizeof(Finding)));
  *kept = finding;
  findings = lappend(findings, kept);
  MemoryContextSwitchTo(old);
  return findings;
}

// The first tokens of each sealed column of a table.
List *look_at(List *findings, Relation relation, MemoryContext context, MemoryContext row) {
  const TupleDesc descriptor = RelationGetDescr(relation);
  int columns = 0;
  auto **types =
      static_cast<const TokenType **>(palloc0(sizeof(TokenType *) * static_cast<Size>(descriptor->natts + 1)));
  for (int i = 0; i < descriptor->natts; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
    if (attribute->attisdropped || compat_is_virtual(RelationGetRelid(relation), static_cast<AttrNumber>(i + 1)))
      continue;
    const TokenType *type = token_type_find(getBaseType(attribute->atttypid));
    if (type == nullptr || (type->format != nullptr && !type->vaulted)) continue;
    types[i] = type;
    ++columns;
  }
  if (columns == 0) return findings;
  TupleTableSlot *slot = table_slot_create(relation, nullptr);
  TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
  MemoryContext old = MemoryContextSwitchTo(row);
  for (int rows = 0; rows < kLookedAt && table_scan_getnextslot(scan, ForwardScanDirection, slot); ++rows) {
    CHECK_FOR_INTERRUPTS();
    for (int i = 0; i < descriptor->natts; ++i) {
      if (types[i] == nullptr) continue;
      bool null = false;
      const Datum value = slot_getattr(slot, i + 1, &null);
      if (null) continue;
      int version = 0;
      const char *problem = token_problem(types[i], value, &version);
      if (problem != nullptr)
        findings =
            note(findings, {RelationGetRelid(relation), static_cast<AttrNumber>(i + 1), types[i], version, problem},
                 context);
    }
    MemoryContextReset(row);
  }
  MemoryContextSwitchTo(old);
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  return findings;
}

}  // namespace
}  // namespace redoubt::pg

// check_tokens() -> setof (table_name, column_name, key, version, problem)
REDOUBT_FUNCTION(redoubt_check_tokens) {
  using namespace redoubt::pg;
  require_preloaded();
  InitMaterializedSRF(fcinfo, 0);
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "redoubt check tokens", ALLOCSET_DEFAULT_SIZES);
  List *findings = NIL;
  catalog_each_relation("rm", [&findings, row](Relation relation) {
    if (!RELATION_IS_OTHER_TEMP(relation)) findings = look_at(findings, relation, CurrentMemoryContext, row);
  });
  MemoryContextDelete(row);
  for (const auto *found : list_of<const Finding>(findings)) {
    const char *attribute = get_attname(found->relid, found->column, true);
    if (attribute == nullptr) continue;  // dropped meanwhile
    NameData column_name;
    namestrcpy(&column_name, attribute);
    Datum values[] = {ObjectIdGetDatum(found->relid), NameGetDatum(&column_name),
                      CStringGetTextDatum(NameStr(found->type->key)), Int32GetDatum(found->version),
                      CStringGetTextDatum(found->problem)};
    bool nulls[lengthof(values)] = {};
    nulls[3] = found->version == 0;
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}
