// function_trust.cpp - see function_trust.h.
//
// The label stored is "trusted <64 hex digits>": SHA-256 of the owner's name and of what
// pg_get_functiondef prints.  It is public and needs no key: who may set the label is
// what matters, and the label says to which text it was given.  It survives a dump; a
// major upgrade that prints functions otherwise takes the trust away.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/base/array_items.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/each.h"
#include "pg/base/type_parts.h"
#include "pg/protect/function_trust.h"
#include "pg/base/hash_table.h"

extern "C" {
#include "catalog/pg_cast.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_language.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "commands/extension.h"
#include "nodes/nodeFuncs.h"
#include "catalog/dependency.h"
}

namespace redoubt::pg {
namespace {

constexpr const char *kProvider = "redoubt";
constexpr const char *kTrusted = "trusted";

struct TrustEntry {
  Oid function;  // hash key
  bool trusted;
  bool own;
};

struct State {
  HTAB *cache;
  bool knows_json_cast;
  Oid json_cast;             // the first from any type to json by a function that is not trusted
  std::uint64_t generation;  // moved on by whatever may change an answer
};
constinit State state = {};

void forget_all() noexcept {
  ++state.generation;
  state.knows_json_cast = false;
  if (state.cache == nullptr) return;
  HASH_SEQ_STATUS sequence;
  hash_seq_init(&sequence, state.cache);
  while (auto *entry = static_cast<TrustEntry *>(hash_seq_search(&sequence)))
    hash_search(state.cache, &entry->function, HASH_REMOVE, nullptr);
}

}  // namespace

void function_trust_changed() { forget_all(); }
std::uint64_t function_trust_generation() noexcept { return state.generation; }
void function_trust_relabelled(Oid relid) {
  if (!OidIsValid(relid)) forget_all();
}

namespace {

void cache_init() {
  if (state.cache != nullptr) return;
  state.cache = hash_table_make<Oid, TrustEntry>("redoubt function trust", 64, CacheMemoryContext);
}

// What pg_get_functiondef prints, which names types by the search_path: ours, or the one that is set.
enum class Names : std::uint8_t { qualified, as_session };
const char *definition(Oid function, Names names) {
  const int settings = NewGUCNestLevel();
  if (names == Names::qualified)
    (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                            false);
  const char *printed = TextDatumGetCString(DirectFunctionCall1(pg_get_functiondef, ObjectIdGetDatum(function)));
  AtEOXact_GUC(true, settings);
  return printed;
}

// "trusted <digest>" for what the function is now.
const char *bound_label(Oid function, Names names) {
  const Oid owner = catalog_field(PROCOID, function, &FormData_pg_proc::proowner);
  if (!OidIsValid(owner)) elog(ERROR, "cache lookup failed for function %u", function);
  const char *text = psprintf("%s\n%s", GetUserNameFromId(owner, false), definition(function, names));

  std::uint8_t digest[PG_SHA256_DIGEST_LENGTH] = {};
  pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
  if (context == nullptr || pg_cryptohash_init(context) < 0 ||
      pg_cryptohash_update(context, reinterpret_cast<const std::uint8_t *>(text), strlen(text)) < 0 ||
      pg_cryptohash_final(context, digest, sizeof digest) < 0)
    elog(ERROR, "could not compute a digest of function %u", function);
  pg_cryptohash_free(context);
  char hex[2 * sizeof digest + 1] = {};
  hex_encode(reinterpret_cast<const char *>(digest), sizeof digest, hex);
  return psprintf("%s %s", kTrusted, hex);
}

// Is the function's body looked at when it runs, under a search_path that the caller sets?
bool finds_by_callers_path(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return false;
  bool text_only = false;  // no body that was parsed when it was made
  SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &text_only);
  bool null = true;
  const Datum settings = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &null);
  bool sets_path = false;
  if (!null)
    each_item(DatumGetArrayTypeP(settings), [&sets_path](Datum setting) {
      sets_path |= pg_strncasecmp(TextDatumGetCString(setting), "search_path=", 12) == 0;
    });
  ReleaseSysCache(tuple);
  return !function_is_in_c(function) && text_only && !sets_path;
}

bool is_plain_function(Oid function) {
  const char kind = get_func_prokind(function);
  return kind == PROKIND_FUNCTION || kind == PROKIND_PROCEDURE || kind == PROKIND_WINDOW;
}

bool labelled_trusted(Oid function) {
  const ObjectAddress object = {ProcedureRelationId, function, 0};
  const char *label = GetSecurityLabel(&object, kProvider);
  if (label == nullptr || !is_plain_function(function)) return false;
  // Version 0.1 named types as the session did that gave the label.
  return strcmp(label, bound_label(function, Names::qualified)) == 0 ||
         strcmp(label, bound_label(function, Names::as_session)) == 0;
}

// Extensions of PostgreSQL's contrib whose functions compute and nothing else.  Others run queries that they are given
// (dblink, tablefunc, xml2), write files, or raise notices.
constexpr const char *kContrib[] = {"btree_gin", "btree_gist", "citext", "cube",    "fuzzystrmatch", "hstore",
                                    "intarray",  "isn",        "ltree",  "pg_trgm", "seg",           "unaccent"};
constexpr char kRemembers[] = "isn_weak";  // keeps what it is given for the session, though it is IMMUTABLE

// The name of an extension that a superuser owns; null for any other.  PostgreSQL lets others create these extensions,
// too, and then move or drop what is in them.
const char *name_of_superusers(Oid extension) {
  const char *name = nullptr;
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(extension));
  catalog_scan(ExtensionRelationId, ExtensionOidIndexId, {&key, 1}, [&name](const CatalogRow &row) {
    const auto *form = row.as<Form_pg_extension>();
    if (superuser_arg(form->extowner)) name = pstrdup(NameStr(form->extname));
  });
  return name;
}

// In C, a superuser's, not volatile, and a member of one of them: only a superuser can make such a function.
bool is_of_contrib(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return false;
  const auto *form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
  const bool plain = form->prolang == ClanguageId && form->provolatile != PROVOLATILE_VOLATILE &&
                     superuser_arg(form->proowner) && strcmp(NameStr(form->proname), kRemembers) != 0;
  ReleaseSysCache(tuple);
  const Oid extension = plain ? getExtensionOfObject(ProcedureRelationId, function) : InvalidOid;
  const char *name = OidIsValid(extension) ? name_of_superusers(extension) : nullptr;
  if (name == nullptr) return false;
  return std::any_of(std::begin(kContrib), std::end(kContrib),
                     [name](const char *known) { return strcmp(name, known) == 0; });
}

// Of ours, does it look at the relation that its first argument names, which stays locked?
bool looks_at_relation(Oid function) {
  int n = 0;
  Oid *types = nullptr;
  get_func_signature(function, &types, &n);
  return n > 0 && (types[0] == REGCLASSOID || types[0] == OIDOID);
}

const TrustEntry *lookup(Oid function) {
  cache_init();
  if (auto *entry = static_cast<TrustEntry *>(hash_search(state.cache, &function, HASH_FIND, nullptr))) return entry;
  const std::uint64_t generation = state.generation;
  const bool own = catalog_library_symbol(function) != nullptr;
  const bool trusted = (own && !looks_at_relation(function)) || get_func_leakproof(function) ||
                       is_of_contrib(function) || labelled_trusted(function);
  // What changed while the catalogs were read is answered, but not kept.
  static TrustEntry passing = {};
  if (generation != state.generation) {
    passing = {function, trusted, own};
    return &passing;
  }
  auto *entry = static_cast<TrustEntry *>(hash_search(state.cache, &function, HASH_ENTER, nullptr));
  entry->trusted = trusted;
  entry->own = own;
  return entry;
}

// What an anonymous row holds is not known here: is there any such cast at all?
Oid any_cast_to_json() {
  cache_init();
  if (state.knows_json_cast) return state.json_cast;
  const std::uint64_t generation = state.generation;
  Oid found = InvalidOid;
  catalog_scan(CastRelationId, InvalidOid, {}, [&found](const CatalogRow &row) {
    const auto *cast = row.as<Form_pg_cast>();
    if (cast->casttarget == JSONOID && cast->castfunc >= FirstNormalObjectId && !function_is_trusted(cast->castfunc))
      found = cast->castfunc;
  });
  state.knows_json_cast = generation == state.generation;  // as in lookup()
  state.json_cast = found;
  return found;
}

// Make a value of a type that is named in an argument, and so run the code of a domain.
bool makes_any_type(Oid function) noexcept {
  switch (function) {
    case F_ARRAY_IN:
    case F_ARRAY_RECV:
    case F_DOMAIN_IN:
    case F_DOMAIN_RECV:
    case F_RECORD_IN:
    case F_RECORD_RECV:
    case F_RANGE_IN:
    case F_RANGE_RECV:
    case F_MULTIRANGE_IN:
    case F_MULTIRANGE_RECV:
      return true;
    default:
      return false;
  }
}

// Tell of every value they are given without ending the query: by a notice that quotes it (a name
// that is too long, a precision that is reduced, an XML document with a warning) or is there because of it (a word
// that is ignored), or by a query that it chooses.
bool tells_of_arguments(Oid function) noexcept {
  switch (function) {
    case F_TO_REGTYPE:
    case F_TO_REGPROCEDURE:
    case F_TO_REGOPERATOR:
    case F_REGTYPEIN:
    case F_REGPROCEDUREIN:
    case F_REGOPERATORIN:
    case F_HAS_FUNCTION_PRIVILEGE_NAME_TEXT_TEXT:
    case F_HAS_FUNCTION_PRIVILEGE_OID_TEXT_TEXT:
    case F_HAS_FUNCTION_PRIVILEGE_TEXT_TEXT:
    case F_HAS_TYPE_PRIVILEGE_NAME_TEXT_TEXT:
    case F_HAS_TYPE_PRIVILEGE_OID_TEXT_TEXT:
    case F_HAS_TYPE_PRIVILEGE_TEXT_TEXT:
    case F_ACLITEMIN:
    case F_TIMESTAMPTYPMODIN:
    case F_TIMESTAMPTZTYPMODIN:
    case F_TIMETYPMODIN:
    case F_TIMETZTYPMODIN:
    case F_INTERVALTYPMODIN:
    case F_PG_TABLESPACE_DATABASES:
    case F_XML_IN:
    case F_XML_RECV:
    case F_XML:
    case F_XMLEXISTS:
    case F_XMLVALIDATE:
    case F_XPATH_TEXT_XML:
    case F_XPATH_TEXT_XML__TEXT:
    case F_XPATH_EXISTS_TEXT_XML:
    case F_XPATH_EXISTS_TEXT_XML__TEXT:
    case F_XML_IS_WELL_FORMED:
    case F_XML_IS_WELL_FORMED_CONTENT:
    case F_XML_IS_WELL_FORMED_DOCUMENT:
    case F_TSQUERYIN:
    case F_TO_TSQUERY_TEXT:
    case F_TO_TSQUERY_REGCONFIG_TEXT:
    case F_PLAINTO_TSQUERY_TEXT:
    case F_PLAINTO_TSQUERY_REGCONFIG_TEXT:
    case F_PHRASETO_TSQUERY_TEXT:
    case F_PHRASETO_TSQUERY_REGCONFIG_TEXT:
    case F_WEBSEARCH_TO_TSQUERY_TEXT:
    case F_WEBSEARCH_TO_TSQUERY_REGCONFIG_TEXT:
    case F_TABLE_TO_XML:
    case F_TABLE_TO_XMLSCHEMA:
    case F_TABLE_TO_XML_AND_XMLSCHEMA:
    case F_SATISFIES_HASH_PARTITION:
    case F_SCHEMA_TO_XML:
    case F_SCHEMA_TO_XMLSCHEMA:
    case F_SCHEMA_TO_XML_AND_XMLSCHEMA:
    case F_DATABASE_TO_XML:
    case F_DATABASE_TO_XMLSCHEMA:
    case F_DATABASE_TO_XML_AND_XMLSCHEMA:
      return true;
    default:
      return compat_quotes_names(function);
  }
}

// Look up what they are told to, and leave behind a lock on it (pg_get_viewdef) or the figures that they have seen
// (pg_stat_get_live_tuples).
bool looks_up_objects(Oid function) {
  const char *name = get_func_name(function);
  return name != nullptr && (strncmp(name, "pg_get_", 7) == 0 || strncmp(name, "pg_stat_", 8) == 0);
}

bool is_type_of_objects(Oid type) noexcept {
  switch (type) {
    case OIDOID:
    case REGCLASSOID:
    case REGCOLLATIONOID:
    case REGNAMESPACEOID:
    case REGOPEROID:
    case REGOPERATOROID:
    case REGPROCOID:
    case REGPROCEDUREOID:
    case REGROLEOID:
    case REGTYPEOID:
      return true;
    default:
      return false;
  }
}

bool input_tells(Oid type) { return tells_of_arguments(catalog_field(TYPEOID, type, &FormData_pg_type::typinput)); }

bool runs_code(Oid type) {
  switch (type >= FirstNormalObjectId ? get_typtype(type) : TYPTYPE_BASE) {
    case TYPTYPE_DOMAIN:  // it may be given a check while a plan is running
    case TYPTYPE_RANGE:   // values of these are handed to casts of one's own to json, by to_json and its like
    case TYPTYPE_MULTIRANGE:
    case TYPTYPE_ENUM:
      return true;
    case TYPTYPE_COMPOSITE:  // or a column, whose input then quotes what it is given
      return !superuser_arg(catalog_field(TYPEOID, type, &FormData_pg_type::typowner));
    default:
      return input_tells(type);
  }
}

Oid untrusted_cast(Oid type, Oid target) {
  const Oid function = cast_function(type, target);
  return OidIsValid(function) && !function_is_trusted(function) ? function : InvalidOid;
}

// By which to_json prints a value of the type, or a part of it.
Oid cast_to_json(Oid type) {
  Oid found = InvalidOid;
  List *seen = NIL;
  (void)any_type(type, &seen, [&found](Oid part, Oid) {
    found = part == RECORDOID ? any_cast_to_json() : untrusted_cast(part, JSONOID);
    return OidIsValid(found) ? Step::found : Step::into;
  });
  return found;
}

// Functions in SQL, built in, that cast what they are given to text.
bool casts_to_text(Oid function) noexcept {
  return function == F_QUOTE_LITERAL_ANYELEMENT || function == F_QUOTE_NULLABLE_ANYELEMENT ||
         function == F_TEXTANYCAT || function == F_ANYTEXTCAT;
}

}  // namespace

bool function_is_in_c(Oid function) {
  const Oid language = catalog_function(function).language;
  return !OidIsValid(language) || language == ClanguageId || language == INTERNALlanguageId;
}

bool function_is_trusted(Oid function) {
  if (function < FirstNormalObjectId) {
    const char volatility = func_volatile(function);
    return volatility != PROVOLATILE_VOLATILE && (volatility != PROVOLATILE_STABLE || !looks_up_objects(function)) &&
           !makes_any_type(function) && !compat_tries_input(function) && !tells_of_arguments(function);
  }
  return lookup(function)->trusted;
}

bool acts_on_objects(Oid function, const List *arguments) {
  if (is_redoubt_function(function)) return false;
  for (const auto *argument : list_of<const Node>(arguments)) {
    const Oid type = exprType(argument);
    const auto *given = reinterpret_cast<const Const *>(argument);
    if (type == REGCONFIGOID || type == REGDICTIONARYOID) {  // those of PostgreSQL's own say nothing
      if (!IsA(given, Const) || (!given->constisnull && DatumGetObjectId(given->constvalue) >= FirstNormalObjectId))
        return true;
    } else if (is_type_of_objects(type) && func_volatile(function) == PROVOLATILE_STABLE) {
      return true;
    }
  }
  return false;
}

bool function_is_vouched(Oid function) {
  if (function < FirstNormalObjectId || !SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function))) return false;
  const ObjectAddress object = {ProcedureRelationId, function, 0};
  return get_func_leakproof(function) || GetSecurityLabel(&object, kProvider) != nullptr;
}

bool is_redoubt_function(Oid function) { return function >= FirstNormalObjectId && lookup(function)->own; }

bool type_runs_code(Oid type) {
  List *seen = NIL;
  return any_type(type, &seen, [](Oid part, Oid) { return runs_code(part) ? Step::found : Step::into; });
}

bool type_casts_to_text(Oid type) { return OidIsValid(untrusted_cast(type, TEXTOID)); }

Oid printing_cast(Oid function, const List *arguments) {
  if (function >= FirstNormalObjectId) return InvalidOid;
  for (const auto *given : list_of<const Node>(arguments)) {
    const Oid type = exprType(argument(given));
    Oid cast = cast_to_json(type);
    if (!OidIsValid(cast) && casts_to_text(function)) cast = untrusted_cast(type, TEXTOID);
    if (OidIsValid(cast)) return cast;
  }
  return InvalidOid;
}

bool function_makes_words(Oid function) noexcept {
  switch (function) {
    case F_TO_TSVECTOR_TEXT:
    case F_TO_TSVECTOR_REGCONFIG_TEXT:
    case F_TO_TSVECTOR_JSON:
    case F_TO_TSVECTOR_REGCONFIG_JSON:
    case F_TO_TSVECTOR_JSONB:
    case F_TO_TSVECTOR_REGCONFIG_JSONB:
    case F_JSON_TO_TSVECTOR_JSON_JSONB:
    case F_JSON_TO_TSVECTOR_REGCONFIG_JSON_JSONB:
    case F_JSONB_TO_TSVECTOR_JSONB_JSONB:
    case F_JSONB_TO_TSVECTOR_REGCONFIG_JSONB_JSONB:
    case F_TS_HEADLINE_TEXT_TSQUERY:
    case F_TS_HEADLINE_TEXT_TSQUERY_TEXT:
    case F_TS_HEADLINE_REGCONFIG_TEXT_TSQUERY:
    case F_TS_HEADLINE_REGCONFIG_TEXT_TSQUERY_TEXT:
    case F_TS_HEADLINE_JSON_TSQUERY:
    case F_TS_HEADLINE_JSON_TSQUERY_TEXT:
    case F_TS_HEADLINE_REGCONFIG_JSON_TSQUERY:
    case F_TS_HEADLINE_REGCONFIG_JSON_TSQUERY_TEXT:
    case F_TS_HEADLINE_JSONB_TSQUERY:
    case F_TS_HEADLINE_JSONB_TSQUERY_TEXT:
    case F_TS_HEADLINE_REGCONFIG_JSONB_TSQUERY:
    case F_TS_HEADLINE_REGCONFIG_JSONB_TSQUERY_TEXT:
    case F_TS_MATCH_TQ:
    case F_TS_MATCH_TT:
      return true;
    default:
      return false;
  }
}

bool type_casts_to_json(Oid type) { return OidIsValid(cast_to_json(type)); }

void function_trust_check(Oid function, const char *label) {
  if (label == nullptr) return;
  // A restored label carries its digest already; one that does not fit gives no trust.
  if (strcmp(label, kTrusted) != 0 && strncmp(label, "trusted ", 8) != 0)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("\"%s\" is not a label for a function", label),
                    errhint("The only label for functions is trusted.")));
  if (!is_plain_function(function))
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("aggregates cannot be labelled as trusted"),
                    errhint("What an aggregate is given is always counted.")));
}

void function_trust_bind(Oid function) {
  const ObjectAddress object = {ProcedureRelationId, function, 0};
  const char *label = GetSecurityLabel(&object, kProvider);
  if (label == nullptr || strcmp(label, kTrusted) != 0) return;
  if (finds_by_callers_path(function))
    ereport(WARNING, (errmsg("a trusted function calls what its caller's search_path finds"),
                      errhint("ALTER FUNCTION ... SET search_path = pg_catalog, pg_temp, then label it again.")));
  SetSecurityLabel(&object, kProvider, bound_label(function, Names::qualified));
}

}  // namespace redoubt::pg
