// token_order.cpp - see token_order.h.
//
// Covered by sql/order_index.sql.
#include "pg/base/boundary.h"

#include "core/token.h"
#include "pg/audit/kek.h"
#include "pg/base/catalog.h"
#include "pg/base/plaintext.h"
#include "pg/base/shared_memory.h"
#include "pg/base/varlena_view.h"
#include "pg/reveal/authors.h"
#include "pg/reveal/gate.h"
#include "pg/tokens/token_order.h"
#include "pg/tokens/token_value.h"

extern "C" {
#include "access/reloptions.h"
#include "access/stratnum.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_collation.h"
#include "utils/sortsupport.h"
#include "utils/varlena.h"
}

namespace redoubt::pg {
namespace {

// The token whose value is in a plaintext buffer: an index compares one with many.
struct Opened {
  Oid type;
  std::size_t size;  // 0: none
  std::array<std::uint8_t, 128> token;
};
struct State {
  Opened left, right;
};
constinit State state = {};

// What an index is asked for, the contents of a bytea: the token type, and behind it the value in UTF-8.
using SoughtType = Oid;

const TokenType *require_ordered(Oid oid) {
  require_preloaded();
  require_kek();
  return token_type_require(oid);
}

// The value of a token in UTF-8, valid until the next one of the same side.
std::string_view opened(const TokenType *type, const varlena *given, PlaintextStep side) {
  const std::span<const std::uint8_t> token = varlena_bytes(given);
  Opened *before = side == PlaintextStep::left ? &state.left : &state.right;
  const std::string_view kept = plaintext_kept(side);
  if (!kept.empty() && before->type == type->type &&
      std::ranges::equal(token, std::span(before->token).first(before->size)))
    return kept;
  before->size = 0;
  const TokenView view = token_view(type, given);
  std::string &value = plaintext_buffer(side, view.ciphertext.size());
  value.resize(view.ciphertext.size());
  value.resize(token_open_into(type, view, {reinterpret_cast<std::uint8_t *>(value.data()), value.size()}));
  if (token.size() <= before->token.size()) {
    std::ranges::copy(token, before->token.begin());
    before->size = token.size();
    before->type = type->type;
  }
  return value;
}

int compare_values(std::string_view a, std::string_view b, Oid collation) {
  const char *left = pg_any_to_server(a.data(), static_cast<int>(a.size()), PG_UTF8);
  const char *right = pg_any_to_server(b.data(), static_cast<int>(b.size()), PG_UTF8);
  const auto size = [](const char *text, std::string_view given) {
    return static_cast<int>(text == given.data() ? given.size() : strlen(text));
  };
  return varstr_cmp(left, size(left, a), right, size(right, b), value_collation(collation));
}

// A token of an index, which may be compressed.
class IndexedToken {
 public:
  explicit IndexedToken(Datum value)
      : given_(DatumGetPointer(value)), token_(pg_detoast_datum_packed(reinterpret_cast<varlena *>(given_))) {}
  const varlena *get() const noexcept { return token_; }
  // Where it is not called, the memory context takes it.
  void release() const {
    if (reinterpret_cast<Pointer>(token_) != given_) pfree(token_);
  }

 private:
  Pointer given_;
  varlena *token_;
};

int compare_tokens(const TokenType *type, Datum a, Datum b, Oid collation) {
  const IndexedToken left(a);
  const IndexedToken right(b);
  const int result = std::ranges::equal(varlena_bytes(left.get()), varlena_bytes(right.get()))
                         ? 0
                         : compare_values(opened(type, left.get(), PlaintextStep::left),
                                          opened(type, right.get(), PlaintextStep::right), collation);
  left.release();
  right.release();
  return result;
}

// (token, what sought_value() returned)
int compare_sought(FunctionCallInfo fcinfo) {
  const std::span<const std::uint8_t> sought = varlena_bytes(PG_GETARG_BYTEA_PP(1));
  SoughtType type = InvalidOid;
  if (sought.size() < sizeof type) elog(ERROR, "a value sought by index has %zu bytes", sought.size());
  memcpy(&type, sought.data(), sizeof type);
  const IndexedToken token(PG_GETARG_DATUM(0));
  const std::string_view value(reinterpret_cast<const char *>(sought.data()), sought.size());
  const int result = compare_values(opened(require_ordered(type), token.get(), PlaintextStep::left),
                                    value.substr(sizeof type), PG_GET_COLLATION());
  token.release();
  return result;
}

// The operators.  An index calls them; in a filter, where none is used, the condition beside it decides.
bool is_in_filter(FunctionCallInfo fcinfo) { return fcinfo->flinfo->fn_expr != nullptr; }

// The type whose operator class has the support function.
Oid ordered_type(Oid function) {
  Oid type = InvalidOid;
  ScanKeyData keys[] = {catalog_key(Anum_pg_amproc_amproc, function)};
  catalog_scan(AccessMethodProcedureRelationId, InvalidOid, keys,
               [&type](const CatalogRow &row) { type = row.as<Form_pg_amproc>()->amproclefttype; });
  return type;
}

}  // namespace
}  // namespace redoubt::pg

extern "C" {
static int token_order_sort(Datum a, Datum b, SortSupport sort) {
  if (sort->ssup_extra == nullptr) elog(ERROR, "values are compared in an upgrade of the server");
  return redoubt::pg::compare_tokens(static_cast<const redoubt::pg::TokenType *>(sort->ssup_extra), a, b,
                                     sort->ssup_collation);
}
}

namespace redoubt::pg {

bool is_value_family(Oid family) {
  return family >= FirstNormalObjectId && OidIsValid(value_operator(family, BTLessStrategyNumber));
}

Oid value_operator(Oid family, int strategy) {
  const Oid found = get_opfamily_member(family, ANYNONARRAYOID, INTERNALOID, static_cast<int16>(strategy));
  const char *symbol = OidIsValid(found) ? catalog_library_symbol(get_opcode(found)) : nullptr;
  return symbol != nullptr && strncmp(symbol, "redoubt_value_", strlen("redoubt_value_")) == 0 ? found : InvalidOid;
}

}  // namespace redoubt::pg

// <type>_value_cmp(token, token): btree support 1.  An index hands its operator class's options with the call; the
// other things that PostgreSQL compares by an operator class have none.
REDOUBT_FUNCTION(redoubt_value_cmp) {
  using namespace redoubt::pg;
  const Oid type = called_token_type(fcinfo, CallSite::argument);
  if (!has_fn_opclass_options(fcinfo->flinfo))
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("values of token type %s are compared in indexes alone", format_type_be(type)),
                    errhint("A query sorts by the text: ORDER BY column::text.")));
  PG_RETURN_INT32(compare_tokens(require_ordered(type), PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GET_COLLATION()));
}

// value_cmp(token, internal): the same for a search by what sought_value() has returned.
REDOUBT_FUNCTION(redoubt_value_cmp_sought) { PG_RETURN_INT32(redoubt::pg::compare_sought(fcinfo)); }

// <type>_value_sort(internal): btree support 2, by which an index is built.  pg_upgrade makes indexes of empty tables,
// before it brings the files of own tables.
REDOUBT_FUNCTION(redoubt_value_sort) {
  using namespace redoubt::pg;
  auto *sort = reinterpret_cast<SortSupport>(PG_GETARG_POINTER(0));
  if (!IsBinaryUpgrade)
    sort->ssup_extra = const_cast<TokenType *>(require_ordered(ordered_type(fcinfo->flinfo->fn_oid)));
  sort->comparator = shielded<token_order_sort>;
  PG_RETURN_VOID();
}

// value_options(internal): btree support 5.  There are none, but that there could be lets redoubt_value_cmp see that an
// index calls it.
REDOUBT_FUNCTION(redoubt_value_options) {
  auto *options = reinterpret_cast<local_relopts *>(PG_GETARG_POINTER(0));
  init_local_reloptions(options, sizeof(std::int32_t));
  PG_RETURN_VOID();
}

REDOUBT_FUNCTION(redoubt_value_lt) {
  using namespace redoubt::pg;
  PG_RETURN_BOOL(is_in_filter(fcinfo) || compare_sought(fcinfo) < 0);
}
REDOUBT_FUNCTION(redoubt_value_le) {
  using namespace redoubt::pg;
  PG_RETURN_BOOL(is_in_filter(fcinfo) || compare_sought(fcinfo) <= 0);
}
REDOUBT_FUNCTION(redoubt_value_ge) {
  using namespace redoubt::pg;
  PG_RETURN_BOOL(is_in_filter(fcinfo) || compare_sought(fcinfo) >= 0);
}
REDOUBT_FUNCTION(redoubt_value_gt) {
  using namespace redoubt::pg;
  PG_RETURN_BOOL(is_in_filter(fcinfo) || compare_sought(fcinfo) > 0);
}

// by_value(token, internal) -> token: what stands in a condition for the column of such an index.
REDOUBT_FUNCTION(redoubt_by_value) { PG_RETURN_DATUM(PG_GETARG_DATUM(0)); }

// sought_value(text or token, internal) -> bytea: what an index is asked for, and the privilege to search by it.  The
// second argument is the OID of the token type.
REDOUBT_FUNCTION(redoubt_sought_value) {
  using namespace redoubt::pg;
  SoughtType oid = InvalidOid;
  const auto said = varlena_bytes(PG_GETARG_POINTER(1));
  if (said.size() != sizeof oid) elog(ERROR, "a value sought by index has %zu bytes beside it", said.size());
  memcpy(&oid, said.data(), sizeof oid);
  const TokenType *type = require_ordered(oid);
  gate_require_authors(type, Privilege::search);
  const bytea *given = PG_GETARG_BYTEA_PP(0);
  std::string_view value = varlena_text(given);
  if (const TokenType *tokens = token_type_find(getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0)));
      tokens != nullptr) {
    gate_require_authors(tokens, Privilege::search);
    value = opened(tokens, given, PlaintextStep::right);
  } else {
    const char *utf8 = pg_server_to_any(value.data(), static_cast<int>(value.size()), PG_UTF8);
    if (utf8 != value.data()) value = utf8;
  }
  bytea *result = plaintext_room(sizeof oid + value.size());
  memcpy(VARDATA(result), &oid, sizeof oid);
  memcpy(VARDATA(result) + sizeof oid, value.data(), value.size());
  PG_RETURN_BYTEA_P(result);
}
