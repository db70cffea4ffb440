// types/token_type.cpp - the cache of token types, and its invalidation.
//
// One entry per type OID looked up, negative entries included, so that the
// question "is this a token type" costs one hash probe.  Entries are never
// removed: an invalidation only moves the generation on, and an old entry is
// read again in place when it is next asked for.
// Covered by sql/token_types.sql and sql/custom_types.sql.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/hash_table.h"
#include "pg/base/type_parts.h"
#include "pg/types/token_type.h"
#include "pg/base/varlena_view.h"

extern "C" {
#include "catalog/indexing.h"
}

namespace redoubt::pg {
namespace {

// Columns of redoubt.token_type.
enum : int {
  kTyp = 1,
  kClassId,
  kMethod,
  kBase,
  kPattern,
  kNormalize,
  kMask,
  kDeterministic,
  kKey,
  kFormat = 12,
  kKeyVersion,
  kTtl,
  kInvalid
};

// What this backend remembers of the table and the types.
struct State {
  HTAB *types = nullptr;
  HTAB *carried = nullptr;
  MemoryContext cache_context = nullptr;
  std::uint64_t generation = 1;
  const TokenType *recent = nullptr;  // the entry found last
  const CarriedTokens *recent_carried = nullptr;
  Oid table_oid = InvalidOid;  // of redoubt.token_type, as last seen
  bool vaulted_known = false;
  bool any_vaulted = false;
};
constinit State state;

}  // namespace

void token_type_relation_changed(Oid relid) {
  if (OidIsValid(relid) && relid != state.table_oid && OidIsValid(state.table_oid)) return;
  ++state.generation;
  state.vaulted_known = false;
}
void token_type_catalog_changed() { ++state.generation; }

namespace {

void cache_init() {
  if (state.types != nullptr) return;
  state.cache_context = AllocSetContextCreate(CacheMemoryContext, "redoubt token types", ALLOCSET_SMALL_SIZES);
  state.carried = hash_table_make<Oid, CarriedTokens>("redoubt carried tokens", 64, state.cache_context);
  HTAB *table = hash_table_make<Oid, TokenType>("redoubt token types", 64, state.cache_context);
  state.types = table;
}

// Which of this library's input functions a type has: a row of token_type alone
// makes no token type.
enum class Input : std::uint8_t { other, sealed, text_format, integer_format };

Input token_input(Oid type) {
  const char *name = catalog_input_symbol(type);
  if (name == nullptr) return Input::other;
  return strcmp(name, "redoubt_token_in") == 0         ? Input::sealed
         : strcmp(name, "redoubt_fpe_in") == 0         ? Input::text_format
         : strcmp(name, "redoubt_fpe_integer_in") == 0 ? Input::integer_format
                                                       : Input::other;
}

// One of the functions that were made with a type.  Whoever may create in the schema may put another one of that name
// there once the function is gone; the privilege on a function that is not this library's counts as nobody's.
// Not LookupFuncName: the current role may have no USAGE on the type's schema.
Oid find_function(const char *schema, const char *name, Oid argument) {
  const oidvector *arguments = buildoidvector(&argument, 1);
  const Oid found = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
                                    PointerGetDatum(arguments), ObjectIdGetDatum(get_namespace_oid(schema, false)));
  return OidIsValid(found) && catalog_library_symbol(found) != nullptr ? found : InvalidOid;
}

std::string_view text_view(Datum value) { return varlena_text(DatumGetTextPP(value)); }

[[noreturn]] void refuse_row(const TokenType *type, const char *what) {
  ereport(ERROR,
          (errcode(ERRCODE_DATA_CORRUPTED),
           errmsg("the policy of token type %s is not readable", format_type_be(type->type)),
           errhint("The row of redoubt.token_type was changed by hand; restore its %s.", what), errhidestmt(true)));
  pg_unreachable();
}

// The format that a text says, made once and never freed; null where it says none.  Out of memory says none as well:
// no exception may leave, because hooks come here.
const Format *parse_format(std::string_view spec) noexcept try {
  static constinit std::vector<std::pair<std::string, std::unique_ptr<Format>>> *parsed = nullptr;
  if (parsed == nullptr) parsed = new std::vector<std::pair<std::string, std::unique_ptr<Format>>>();
  for (const auto &[known, format] : *parsed)
    if (known == spec) return format.get();
  std::string problem;
  std::unique_ptr<Format> format = Format::make(spec, problem);
  if (format == nullptr) return nullptr;
  parsed->emplace_back(std::string(spec), std::move(format));
  return parsed->back().second.get();
} catch (...) {
  return nullptr;
}

// A format that was read stays behind when a hand changes the column, for a caller may be using it.
void read_format(TokenType *type, const CatalogRow &row) {
  bool null = false;
  const Datum value = own_value_or_null(row, kFormat, TEXTOID, &null);
  type->format = nullptr;
  type->is_integer = false;
  type->key_version = 0;
  if (null) return;
  const std::string_view stored = text_view(value);
  const char *utf8 = pg_server_to_any(stored.data(), static_cast<int>(stored.size()), PG_UTF8);
  type->format = parse_format({utf8, utf8 == stored.data() ? stored.size() : strlen(utf8)});
  if (type->format == nullptr) refuse_row(type, "format");
  type->is_integer = type->format->is_integer();
}

// Tokens of method fpe have no room for their key's version, so it is the type's.
void read_key(TokenType *type, const CatalogRow &row, bool fpe) {
  type->key = *DatumGetName(own_value(row, kKey, NAMEOID));
  bool null = false;
  const Datum version = own_value_or_null(row, kKeyVersion, INT4OID, &null);
  type->key_version = null ? 0 : DatumGetInt32(version);
  if (null ? fpe : type->key_version < 1 || type->key_version > kMaxKeyVersion) refuse_row(type, "key_version");
}

void read_vaulting(TokenType *type, const CatalogRow &row) {
  bool null = false;
  const Datum ttl = own_value_or_null(row, kTtl, INTERVALOID, &null);
  type->expires = !null;
  if (null) return;
  type->ttl = *DatumGetIntervalP(ttl);
  Interval none = {};
  if (!DatumGetBool(DirectFunctionCall2(interval_gt, ttl, IntervalPGetDatum(&none)))) refuse_row(type, "ttl");
}

void read_row(TokenType *type, const CatalogRow &row) {
  const pg_uuid_t *class_id = DatumGetUUIDP(own_value(row, kClassId, UUIDOID));
  memcpy(type->class_id.data(), class_id->data, kClassIdSize);
  const std::string_view method = text_view(own_value(row, kMethod, TEXTOID));
  const std::string_view base = text_view(own_value(row, kBase, TEXTOID));
  type->vaulted = method == "vault";
  type->is_bytes = base == "bytea";
  type->deterministic = DatumGetBool(own_value(row, kDeterministic, BOOLOID));

  read_format(type, row);
  const bool fits =
      type->format == nullptr ? method == "sealed" || method == "vault" : method == "fpe" || method == "vault";
  if (!fits) refuse_row(type, "method and format");
  if (base != (type->is_integer ? "bigint" : type->is_bytes && type->format == nullptr ? "bytea" : "text"))
    refuse_row(type, "base");
  read_key(type, row, method == "fpe");
  read_vaulting(type, row);
  const auto normalize = normalize_parse(text_view(own_value(row, kNormalize, TEXTOID)));
  const auto mask = mask_parse(text_view(own_value(row, kMask, TEXTOID)));
  if (!normalize.ok() || !mask.ok()) refuse_row(type, "normalize and mask");
  type->normalize = *normalize;
  type->mask = *mask;
  type->keeps_invalid = text_view(own_value(row, kInvalid, TEXTOID)) == "keep";

  bool null = false;
  const Datum pattern = own_value_or_null(row, kPattern, TEXTOID, &null);
  if (null) return;
  MemoryContext old = MemoryContextSwitchTo(state.cache_context);
  type->pattern = DatumGetTextPCopy(pattern);
  MemoryContextSwitchTo(old);
}

// Whoever has the entry at hand keeps what was read of it last where its row cannot be read any more.
void read_row(TokenType *entry) {
  TokenType fresh = {};
  TokenType *const type = &fresh;
  type->type = entry->type;
  const std::uint64_t reading = state.generation;
  state.table_oid = catalog_relation("token_type");
  const Input input = token_input(type->type);
  if (input != Input::other)
    catalog_scan("token_type", [type, input](const CatalogRow &row) {
      if (DatumGetObjectId(own_value(row, kTyp, REGTYPEOID)) != type->type) return;
      read_row(type, row);
      // The type's functions and its row must be of one family, or tokens would be read as what they are not.
      const bool agree =
          (type->format != nullptr) == (input != Input::sealed) && type->is_integer == (input == Input::integer_format);
      if (!agree) refuse_row(type, "format");
      type->is_token_type = true;
    });
  if (type->is_token_type) {
    HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type->type));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for type %u", type->type);
    const auto *form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
    const char *type_name = pstrdup(NameStr(form->typname));
    const char *schema = get_namespace_name(form->typnamespace);
    const Oid array = form->typarray;
    ReleaseSysCache(tuple);
    snprintf(type->name, sizeof type->name, "%s.%s", schema, type_name);
    type->gate[static_cast<int>(Privilege::reveal)] = find_function("redoubt", "detokenize", type->type);
    type->gate[static_cast<int>(Privilege::masked)] = find_function("redoubt", "mask", type->type);
    type->gate[static_cast<int>(Privilege::search)] = find_function("redoubt", "search", type->type);
    type->open_value = find_function("redoubt", "open_value", type->type);
    type->array_gate = {find_function("redoubt", "detokenize", array), find_function("redoubt", "mask", array)};
    type->gate[static_cast<int>(Privilege::tokenize)] = find_function(schema, type_name,
                                                                      type->is_bytes     ? BYTEAOID
                                                                      : type->is_integer ? INT8OID
                                                                                         : TEXTOID);
  }
  type->generation = reading;  // a change that arrived meanwhile makes it stale again
  if (entry->pattern != nullptr) pfree(entry->pattern);
  *entry = fresh;
}

}  // namespace

const TokenType *token_type_find(Oid type) {
  if (type < FirstNormalObjectId) return nullptr;
  if (state.recent != nullptr && state.recent->type == type && state.recent->generation == state.generation)
    return state.recent->is_token_type ? state.recent : nullptr;
  if (state.types == nullptr) cache_init();
  bool found = false;
  auto *token_type = static_cast<TokenType *>(hash_search(state.types, &type, HASH_ENTER, &found));
  if (!found) {
    token_type->generation = 0;
    token_type->pattern = nullptr;
  }
  if (token_type->generation != state.generation) read_row(token_type);
  state.recent = token_type;
  return token_type->is_token_type ? token_type : nullptr;
}

bool token_type_made(Oid type) { return type >= FirstNormalObjectId && token_input(type) != Input::other; }

const TokenType *token_type_require(Oid type) {
  const TokenType *token_type = token_type_find(type);
  if (token_type == nullptr)
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("type %s has no token type policy", format_type_extended(type, -1, FORMAT_TYPE_ALLOW_INVALID)),
             errhint("Token types are made by redoubt.create_token_type(); a restore must also load "
                     "the table redoubt.token_type."),
             errhidestmt(true)));
  return token_type;
}

bool token_type_any_vaulted() {
  cache_init();
  if (state.vaulted_known) return state.any_vaulted;
  state.vaulted_known = state.any_vaulted = true;  // unless the news comes while we look; and should looking fail
  state.table_oid = catalog_relation("token_type");
  bool any = false;
  // Asked for every query, also for the one that mends a damaged table: a row that cannot be read counts as vaulted.
  catalog_scan("token_type", [&any](const CatalogRow &row) {
    const TupleDesc columns = row.descriptor;
    const bool fits = columns->natts >= kMethod && TupleDescAttr(columns, kMethod - 1)->atttypid == TEXTOID;
    bool null = true;
    const Datum method = fits ? row.get(kMethod, &null) : static_cast<Datum>(0);
    any |= null || text_view(method) == "vault";
  });
  state.any_vaulted = any;
  return any;
}

List *token_types() {
  List *oids = NIL;
  catalog_scan("token_type", [&oids](const CatalogRow &row) {
    oids = lappend_oid(oids, DatumGetObjectId(own_value(row, kTyp, REGTYPEOID)));
  });
  List *types = NIL;
  for (const Oid oid : oids_of(oids))
    if (const TokenType *type = token_type_find(oid); type != nullptr)
      types = lappend(types, const_cast<TokenType *>(type));
  return types;
}

namespace {

void add_carried(CarriedTokens *into, const CarriedToken &added) {
  int i = 0;
  while (i < into->size && into->item[i].token_type != added.token_type) ++i;
  if (i == kMaxCarried)
    --i;  // more kinds than fit are counted under the last one: never an under-count
  else if (i == into->size)
    into->item[into->size++] = {added.token_type, 0};
  into->item[i].count = static_cast<std::uint16_t>(std::min(into->item[i].count + added.count, 0xffff));
}

// What values of `type`, a part of another type, hold.  Types are looked at once each, however often they are a part.
void add_part(CarriedTokens *into, Oid type) {
  const CarriedTokens *part = type_carried(type);
  for (int i = 0; i < part->size; ++i) add_carried(into, part->item[i]);
  into->nothing_else &= part->nothing_else;
}

void collect_carried(Oid type, CarriedTokens *into) {
  check_stack_depth();
  CHECK_FOR_INTERRUPTS();
  into->nothing_else = true;
  if (token_type_find(type) != nullptr) {
    into->item[into->size++] = {type, 1};
    return;
  }
  if (const Oid inside = type_inside(type); OidIsValid(inside)) return add_part(into, inside);
  into->nothing_else = get_typtype(type) == TYPTYPE_COMPOSITE;
  if (!into->nothing_else) return;
  TupleDesc descriptor = lookup_rowtype_tupdesc_copy(type, -1);
  for (int i = 0; i < descriptor->natts; ++i) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
    if (!attribute->attisdropped) add_part(into, attribute->atttypid);
  }
}

}  // namespace

bool type_is_tokens(Oid type) { return type_carried(type)->nothing_else; }

const CarriedTokens *type_carried(Oid type) {
  static const CarriedTokens nothing = {};
  if (type < FirstNormalObjectId) return &nothing;
  if (const CarriedTokens *recent = state.recent_carried;
      recent != nullptr && recent->type == type && recent->generation == state.generation)
    return recent;
  if (state.types == nullptr) cache_init();
  bool found = false;
  auto *entry = static_cast<CarriedTokens *>(hash_search(state.carried, &type, HASH_ENTER, &found));
  if (!found) entry->generation = 0;
  if (entry->generation != state.generation) {
    const std::uint64_t reading = state.generation;
    CarriedTokens fresh = {};
    fresh.type = type;
    collect_carried(type, &fresh);
    fresh.generation = reading;
    *entry = fresh;
  }
  state.recent_carried = entry;
  return entry;
}

bool type_carries(Oid type, Oid token_type) {
  const CarriedTokens *carried = type_carried(type);
  return std::any_of(carried->item, carried->item + carried->size,
                     [token_type](const auto &item) { return item.token_type == token_type; });
}

bool type_holds_tokens(Oid type) { return type == RECORDOID || type == RECORDARRAYOID || type_carried(type)->size > 0; }

bool type_meets_output(Oid type, Oid token_type) {
  if (type_carries(type, token_type)) return true;
  const TokenType *found = token_type_find(token_type);
  return found == nullptr || found->format == nullptr;
}

void token_type_make_collatable(Oid type) {
  Relation types = table_open(TypeRelationId, RowExclusiveLock);
  for (const Oid each : {type, get_array_type(type)}) {
    HeapTuple tuple = SearchSysCacheCopy1(TYPEOID, ObjectIdGetDatum(each));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for type %u", each);
    reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typcollation = DEFAULT_COLLATION_OID;
    CatalogTupleUpdate(types, &tuple->t_self, tuple);
  }
  table_close(types, RowExclusiveLock);
  CommandCounterIncrement();
}

void value_refuse_softly(const TokenType *type, const Refusal &refusal, Node *context) {
  const bool masked = strcmp(refusal.reason, "mask character") == 0;
  const bool placed = refusal.position > 0;
  compat_errsave(
      context,
      (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
       placed ? errmsg("invalid value for token type %s: %s at character %zu", type->name, refusal.reason,
                       refusal.position)
              : errmsg("invalid value for token type %s: %s", type->name, refusal.reason),
       masked ? errhint("The value is the masked form of a token and cannot be stored; leave the column unchanged.")
              : 0,
       errhidestmt(true)));
}

void value_refuse(const TokenType *type, const Refusal &refusal) {
  value_refuse_softly(type, refusal, nullptr);
  pg_unreachable();
}

}  // namespace redoubt::pg
