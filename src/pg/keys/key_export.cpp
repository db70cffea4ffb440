// key_export.cpp - redoubt.export_keys(), the data keys of a database under a passphrase, and redoubt.import_keys(),
// which merges them into another database, or a copy, under that server's key-encryption key.
//
// A key that is here already is compared.  One that this server can open must be the same, byte by byte.  One that it
// cannot open, as in a copy of a database of another server, must be wrapped as the exporting database has it wrapped:
// then it is the same, and is wrapped anew.  Everything else is refused, and nothing is changed.
//
// Whoever has an export, its passphrase and tokens can open these elsewhere.  So EXECUTE of
// export_keys() is a privilege that nobody has until it is granted, superusers included, unless
// redoubt.superuser_access is on, and the event is written before the text goes out.
//
// Invariant: no key byte exists while PostgreSQL code runs, but in SecretBytes or a SecretBuffer, in frames that call
// PostgreSQL through call() alone.  A passphrase is in no message.
// Locks: import_keys() holds SHARE ROW EXCLUSIVE on redoubt.key to the end of its transaction.
// Covered by sql/export_keys.sql and test/tap/export_keys.pl.
#include "pg/base/boundary.h"

#include "pg/base/array_items.h"
#include "pg/base/each.h"
#include "core/key_export.h"
#include "core/random.h"
#include "pg/audit/audit_refusal.h"
#include "pg/audit/audit_trail.h"
#include "pg/base/log_guard.h"
#include "pg/base/roles.h"
#include "pg/base/shared_memory.h"
#include "pg/base/varlena_view.h"
#include "pg/keys/key_store.h"

namespace redoubt::pg {
namespace {

static_assert(kExportedKeySize == 2 * kKeySize && kExportedWrapSize == kWrappedSize);

constexpr int kMinPassphrase = 12;  // characters

struct Passphrase {
  const char *data;  // UTF-8
  std::size_t size;
  std::span<const std::uint8_t> bytes() const noexcept { return {reinterpret_cast<const std::uint8_t *>(data), size}; }
};

Passphrase passphrase_of(Datum argument) {
  const std::string_view given = varlena_text(DatumGetTextPP(argument));
  // PostgreSQL's own error would show the bytes.
  if (GetDatabaseEncoding() == PG_SQL_ASCII &&
      !pg_verify_mbstr(PG_UTF8, given.data(), static_cast<int>(given.size()), true))
    ereport(ERROR,
            (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE), errmsg("the passphrase is not UTF-8"), errhidestmt(true)));
  const char *utf8 = pg_server_to_any(given.data(), static_cast<int>(given.size()), PG_UTF8);
  return {utf8, utf8 == given.data() ? given.size() : strlen(utf8)};
}

int characters(const Passphrase &passphrase) {
  return static_cast<int>(std::ranges::count_if(passphrase.bytes(), [](std::uint8_t byte) { return byte >> 6U != 2; }));
}

void require_exporter(Oid function) {
  if (role_granted(function, GetUserId())) return;
  audit_refused({.event = "denial", .outcome = "denied", .operation = "export_keys"});
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to export keys"),
                  errdetail("A superuser needs a grant here as anybody else does."),
                  errhint("GRANT EXECUTE ON FUNCTION redoubt.export_keys TO %s gives it.",
                          quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

// Takes the rows of the given names, all of which there are.
List *rows_of_names(const List *rows, ArrayType *names) {
  const ArrayItems items = array_items(names);
  List *chosen = NIL;
  for (int i = 0; i < items.size; ++i) {
    const char *name = items.null[i] ? "" : NameStr(*DatumGetName(items.value[i]));
    bool found = false;
    for (auto *row : list_of<KeyRow>(rows)) {
      if (strcmp(row->name, name) != 0) continue;
      found = true;
      chosen = list_append_unique_ptr(chosen, row);
    }
    if (!found)
      ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("key \"%s\" does not exist", name),
                      errhint("redoubt.verify_keys() lists the keys."), errhidestmt(true)));
  }
  return chosen;
}

// The keys of the database, or those of the names.
List *keys_to_export(ArrayType *names) {
  List *rows = key_store_rows();
  List *chosen = names == nullptr ? rows : rows_of_names(rows, names);
  if (chosen == NIL)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no key to export"),
                    errhint("redoubt.verify_keys() lists the keys.")));
  int unopened = 0;
  const char *lines = key_store_unopened(chosen, &unopened);
  if (unopened > 0)
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("no key was exported, because %d of them cannot be opened", unopened), errdetail("%s", lines),
             errhint("redoubt.verify_keys() says why, and export_keys() takes the names of others.")));
  return chosen;
}

std::string_view utf8_name(const char *name) {
  const char *utf8 = pg_server_to_any(name, static_cast<int>(strlen(name)), PG_UTF8);
  return utf8;
}

// The records of keys that all open.
SecretBuffer records_of(const List *keys) {
  std::size_t size = 0;
  for (const auto *key : list_of<const KeyRow>(keys)) {
    const char *name = key->name;
    size += key_record_size(call([name] { return utf8_name(name); }).size());
  }
  SecretBuffer records(size);
  std::span<std::uint8_t> rest = records.span();
  for (const auto *row : list_of<const KeyRow>(keys)) {
    const std::string_view name = call([row] { return utf8_name(row->name); });
    DataKey key;
    key_store_unwrap(row->wrapped, key);
    rest = key_record_write({name, static_cast<std::uint16_t>(row->wrapped.version),
                             row->wrapped.state == KeyState::retired, key.span(), row->wrapped.bytes},
                            rest);
  }
  return records;
}

text *export_of(const List *keys, const Passphrase &passphrase) {
  const SecretBuffer records = records_of(keys);
  std::array<std::uint8_t, kSaltSize> salt;
  if (!random_bytes(salt)) throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL has no randomness");
  const std::size_t size = key_export_text_size(records.span().size());
  text *result = call([size] { return static_cast<text *>(palloc(VARHDRSZ + size)); });
  SET_VARSIZE(result, VARHDRSZ + size);
  if (key_export_seal(passphrase.bytes(), salt, kPassphraseCost, records.span(), {VARDATA(result), size}) != Status::ok)
    throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL could not seal the keys, or has no memory for it",
                  "A passphrase takes 128 MB of memory for a moment.");
  return result;
}

// What becomes of a key of an export.
enum class Verdict : std::uint8_t { added, rewrapped, present, other, other_fingerprint, unknown, destroyed };
constexpr const char *kOutcome[] = {
    "added",
    "rewrapped",
    "present",
    "another key has this name and version here",
    "the key of this name has another fingerprint key here",
    "a key of this name cannot be opened here, nor is it wrapped as when it was exported",
    "it was destroyed here"};

struct Imported {
  NameData name;
  int version;
  bool retired;
  Verdict verdict;
  WrappedKey made;  // for what is added or wrapped anew
};

NameData name_of(std::string_view utf8) {
  const char *local = pg_any_to_server(utf8.data(), static_cast<int>(utf8.size()), PG_UTF8);
  const std::size_t size = local == utf8.data() ? utf8.size() : strlen(local);
  if (size >= NAMEDATALEN)
    ereport(ERROR,
            (errcode(ERRCODE_NAME_TOO_LONG), errmsg("the name of a key is too long in this database's encoding")));
  NameData name = {};
  memcpy(NameStr(name), local, size);
  return name;
}

// Are the versions of a name in the export of one fingerprint key, and each there once?
bool fits_export(std::span<const std::uint8_t> all, const KeyRecord &record) {
  int same = 0;
  for (std::span<const std::uint8_t> rest = all; !rest.empty();) {
    const Result<KeyRecord> other = key_record_read(rest);
    if (!other.ok()) return false;
    if (other->name != record.name) continue;
    if (other->version == record.version) ++same;
    if (!secret_equal(other->key.first<kKeySize>(), record.key.first<kKeySize>())) return false;
  }
  return same == 1;
}

// Does the export have the key of a row that cannot be opened here?
bool has_wrapped(std::span<const std::uint8_t> all, const KeyRecord &of_name, const WrappedKey &row) {
  for (std::span<const std::uint8_t> rest = all; !rest.empty();) {
    const Result<KeyRecord> other = key_record_read(rest);
    if (!other.ok()) return false;
    if (other->name == of_name.name && other->version == row.version && std::ranges::equal(other->wrapped, row.bytes))
      return true;
  }
  return false;
}

// May the key of a record be a further version of the key of this name here?
Verdict judge_new(const List *rows, std::span<const std::uint8_t> all, const KeyRecord &record, const char *name) {
  for (const auto *row : list_of<const KeyRow>(rows)) {
    if (strcmp(row->name, name) != 0) continue;
    if (kek_bytes(row->wrapped.kek).empty()) {
      if (!has_wrapped(all, record, row->wrapped)) return Verdict::unknown;
      continue;
    }
    DataKey key;
    key_store_unwrap(row->wrapped, key);
    if (!secret_equal(key.span().first<kKeySize>(), record.key.first<kKeySize>())) return Verdict::other_fingerprint;
  }
  return Verdict::added;
}

Verdict judge(const List *rows, std::span<const std::uint8_t> all, const KeyRecord &record, const char *name) {
  const int version = record.version;
  const WrappedKey here = call([name, version] { return key_store_read(name, version); });
  if (here.version != 0 && here.state == KeyState::destroyed) return Verdict::destroyed;
  if (!fits_export(all, record)) return Verdict::other_fingerprint;
  if (here.version == 0) return judge_new(rows, all, record, name);
  if (kek_bytes(here.kek).empty())
    return std::ranges::equal(here.bytes, record.wrapped) ? Verdict::rewrapped : Verdict::unknown;
  DataKey key;
  key_store_unwrap(here, key);
  return secret_equal(key.span(), record.key) ? Verdict::present : Verdict::other;
}

struct Import {
  Imported *item;
  int size;
};

// Opens an export and judges its keys, wrapping what this database is to take by the server's KEK.  Changes nothing.
Import judge_export(const List *rows, std::string_view given, const Passphrase &passphrase) {
  Result<SecretBuffer> opened = key_export_open(passphrase.bytes(), given);
  if (opened.status() == Status::malformed)
    throw Failure(ERRCODE_INVALID_TEXT_REPRESENTATION, "the text is no export of keys",
                  "It begins with redoubt_keys_.");
  if (opened.status() == Status::unsupported)
    throw Failure(ERRCODE_FEATURE_NOT_SUPPORTED, "the export of keys was made by a later version of Redoubt");
  if (opened.status() == Status::corrupt) {
    call([] { audit_write({.event = "key", .outcome = "failure", .operation = "import_keys"}); });
    throw Failure(ERRCODE_INVALID_PASSWORD, "the export of keys does not open with this passphrase, or is damaged");
  }
  if (!opened.ok()) throw Failure(ERRCODE_INTERNAL_ERROR, "OpenSSL could not open the keys, or has no memory for it");
  const SecretBuffer records = *std::move(opened);
  const std::span<const std::uint8_t> all = records.span();
  const std::size_t most = all.size() / key_record_size(1) + 1;
  Import import = {call([most] { return static_cast<Imported *>(palloc(sizeof(Imported) * most)); }), 0};
  for (std::span<const std::uint8_t> rest = all; !rest.empty();) {
    const Result<KeyRecord> record = key_record_read(rest);
    if (!record.ok()) throw Failure(ERRCODE_DATA_CORRUPTED, "the export of keys is damaged");
    Imported *item = &import.item[import.size++];
    const std::string_view utf8 = record->name;
    *item = {};
    item->name = call([utf8] { return name_of(utf8); });
    item->version = record->version;
    item->retired = record->retired;
    item->verdict = judge(rows, all, *record, NameStr(item->name));
    if (item->verdict != Verdict::added && item->verdict != Verdict::rewrapped) continue;
    DataKey key;
    std::copy(record->key.begin(), record->key.end(), key.span().begin());
    item->made.version = record->version;
    item->made.size = kWrappedSize;
    strlcpy(item->made.kek, kek_fingerprint(), sizeof item->made.kek);
    key_store_wrap(key, item->made.bytes);
  }
  return import;
}

void refuse_conflicts(const Import &import) {
  StringInfoData lines;
  initStringInfo(&lines);
  int conflicts = 0;
  for (int i = 0; i < import.size; ++i) {
    const Imported &item = import.item[i];
    if (item.verdict <= Verdict::present) continue;
    if (conflicts++ > 0) appendStringInfoChar(&lines, '\n');
    appendStringInfo(&lines, "version %d of key \"%s\": %s", item.version, NameStr(item.name),
                     kOutcome[static_cast<int>(item.verdict)]);
  }
  if (conflicts == 0) return;
  ereport(ERROR,
          (errcode(ERRCODE_DUPLICATE_OBJECT),
           errmsg("no key was imported, because %d of %d conflict with keys of this database", conflicts, import.size),
           errdetail("%s", lines.data),
           errhint("A database has one key of a name. Import into a database without keys of these names, or export "
                   "other names alone.")));
}

void apply(const Imported &item, const List *rows) {
  const char *name = NameStr(item.name);
  if (item.verdict == Verdict::added) {
    if (!key_store_insert(name, item.version, item.made.bytes)) elog(ERROR, "a row of redoubt.key was made meanwhile");
    if (item.retired) key_store_retire(name, item.version);
  }
  if (item.verdict != Verdict::rewrapped) return;
  for (const auto *row : list_of<const KeyRow>(rows)) {
    if (row->wrapped.version == item.version && strcmp(row->name, name) == 0) key_store_replace(*row, item.made);
  }
}

}  // namespace
}  // namespace redoubt::pg

// export_keys(passphrase text, names name[]) -> text
REDOUBT_FUNCTION(redoubt_export_keys) {
  using namespace redoubt::pg;
  log_guard_mark();
  if (PG_ARGISNULL(0))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the passphrase must not be null")));
  require_preloaded();
  require_kek();
  require_exporter(fcinfo->flinfo->fn_oid);
  const Passphrase passphrase = passphrase_of(PG_GETARG_DATUM(0));
  if (characters(passphrase) < kMinPassphrase)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("the passphrase has fewer than %d characters", kMinPassphrase),
                    errhint("Whoever has the export can try passphrases as long as he likes."), errhidestmt(true)));
  const List *keys = keys_to_export(PG_ARGISNULL(1) ? nullptr : PG_GETARG_ARRAYTYPE_P(1));
  text *result = export_of(keys, passphrase);
  StringInfoData names;
  initStringInfo(&names);
  const char *before = "";
  for (const auto *row : list_of<const KeyRow>(keys)) {
    if (strcmp(before, row->name) != 0) appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", row->name);
    before = row->name;
  }
  audit_write({.event = "key", .operation = "export_keys", .count = list_length(keys), .detail = names.data});
  PG_RETURN_TEXT_P(result);
}

// import_keys(export text, passphrase text) -> setof (name, version, outcome)
REDOUBT_FUNCTION(redoubt_import_keys) {
  using namespace redoubt::pg;
  log_guard_mark();
  require_preloaded();
  require_kek();
  PreventCommandIfReadOnly("redoubt.import_keys()");
  InitMaterializedSRF(fcinfo, 0);
  auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  key_store_lock();
  const List *rows = key_store_rows();
  const Import import = judge_export(rows, varlena_text(PG_GETARG_TEXT_PP(0)), passphrase_of(PG_GETARG_DATUM(1)));
  refuse_conflicts(import);
  int64 changed = 0;
  bool rewrapped = false;
  for (int i = 0; i < import.size; ++i) {
    if (import.item[i].verdict != Verdict::present) ++changed;
    rewrapped |= import.item[i].verdict == Verdict::rewrapped;
  }
  if (changed > 0 && !rewrapped) key_store_require_fit();
  StringInfoData names;
  initStringInfo(&names);
  for (int i = 0; i < import.size; ++i) {
    const Imported &item = import.item[i];
    apply(item, rows);
    if (i == 0 || strcmp(NameStr(item.name), NameStr(import.item[i - 1].name)) != 0)
      appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", NameStr(item.name));
    NameData name = item.name;
    Datum values[] = {NameGetDatum(&name), Int32GetDatum(item.version),
                      CStringGetTextDatum(kOutcome[static_cast<int>(item.verdict)])};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  audit_write({.event = "key", .operation = "import_keys", .count = changed, .detail = names.data});
  return static_cast<Datum>(0);
}
