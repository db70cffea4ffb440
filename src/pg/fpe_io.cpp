// fpe_io.cpp - the SQL functions of format-preserving token types: in, out, recv,
// send, the casts, the tokenizing function, detokenize, mask; and tokenize,
// detokenize and mask for columns that stay text.
//
// Input is always a token, since nothing tells it from plaintext.  Of casts, one
// that is written out tokenizes; an assignment takes a token.  Binary forms carry
// the text, of integer types as well, because a masked value is no number.
// Covered by sql/fpe.sql.
#include "pg/boundary.h"

#include "pg/catalog.h"
#include "pg/fpe_value.h"
#include "pg/gate.h"
#include "pg/token_io.h"
#include "pg/token_value.h"

extern "C" {
#include "libpq/pqformat.h"
}

namespace redoubt::pg {
namespace {

char *integer_text(int64 value) {
  auto *digits = static_cast<char *>(palloc(MAXINT8LEN + 1));
  pg_lltoa(value, digits);
  return digits;
}

// The output functions' text.
char *output(Oid type, const text *token) {
  const TypePolicy *policy = nullptr;
  switch (token_io_admit(type, &policy)) {
    case Reveal::masked:
      return text_to_cstring(fpe_open_masked(policy, token, false));
    case Reveal::plain:
      return text_to_cstring(fpe_open(policy, token, false));
    default:
      return text_to_cstring(token);
  }
}

char *output(Oid type, int64 token) {
  const TypePolicy *policy = nullptr;
  switch (token_io_admit(type, &policy)) {
    case Reveal::masked:
      return text_to_cstring(fpe_open_masked(policy, token, false));
    case Reveal::plain:
      return integer_text(fpe_open(policy, token, false));
    default:
      return integer_text(token);
  }
}

Datum send(const char *text) {
  StringInfoData buffer;
  pq_begintypsend(&buffer);
  pq_sendtext(&buffer, text, static_cast<int>(strlen(text)));
  PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

const char *receive(FunctionCallInfo fcinfo, int *length) {
  auto *message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
  return pq_getmsgtext(message, message->len - message->cursor, length);
}

// A cast from text or character(n), whose first `length` bytes count.
text *cast_text(Oid type, bool is_explicit, const char *data, int length) {
  const auto size = static_cast<std::size_t>(length);
  return is_explicit ? fpe_tokenize(policy_require(type), data, size) : fpe_accept(type, data, size);
}

int64 cast_integer(Oid type, bool is_explicit, int64 value) {
  return is_explicit ? fpe_tokenize(policy_require(type), value) : fpe_accept(type, value);
}

// The type that tokenize, detokenize and mask for text columns are given.
const TypePolicy *type_argument(FunctionCallInfo fcinfo) {
  const Oid type = PG_GETARG_OID(1);
  const TypePolicy *policy = policy_find(type);
  if (policy == nullptr)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not a token type", format_type_be(type)),
                    errhint("redoubt.token_types lists the token types."), errhidestmt(true)));
  if (policy->is_bytes)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("token type %s is not of base text", policy->name),
                    errhidestmt(true)));
  return policy;
}

std::string_view text_argument(FunctionCallInfo fcinfo) {
  const text *value = PG_GETARG_TEXT_PP(0);
  return {VARDATA_ANY(value), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(value))};
}

}  // namespace
}  // namespace redoubt::pg

REDOUBT_FUNCTION(redoubt_fpe_in) {
  using namespace redoubt::pg;
  const char *text = PG_GETARG_CSTRING(0);
  PG_RETURN_TEXT_P(fpe_accept(catalog_call_type(fcinfo, CallSite::result), text, strlen(text)));
}

REDOUBT_FUNCTION(redoubt_fpe_recv) {
  using namespace redoubt::pg;
  int length = 0;
  const char *text = receive(fcinfo, &length);
  PG_RETURN_TEXT_P(fpe_accept(catalog_call_type(fcinfo, CallSite::result), text, static_cast<std::size_t>(length)));
}

REDOUBT_FUNCTION(redoubt_fpe_out) {
  using namespace redoubt::pg;
  PG_RETURN_CSTRING(output(catalog_call_type(fcinfo, CallSite::argument), PG_GETARG_TEXT_PP(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_send) {
  using namespace redoubt::pg;
  return send(output(catalog_call_type(fcinfo, CallSite::argument), PG_GETARG_TEXT_PP(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_tokenize) {
  using namespace redoubt::pg;
  const auto value = text_argument(fcinfo);
  PG_RETURN_TEXT_P(
      fpe_tokenize(policy_require(catalog_call_type(fcinfo, CallSite::result)), value.data(), value.size()));
}

REDOUBT_FUNCTION(redoubt_fpe_cast) {
  using namespace redoubt::pg;
  const auto value = text_argument(fcinfo);
  PG_RETURN_TEXT_P(cast_text(catalog_call_type(fcinfo, CallSite::result), PG_GETARG_BOOL(2), value.data(),
                             static_cast<int>(value.size())));
}

REDOUBT_FUNCTION(redoubt_fpe_cast_bpchar) {
  using namespace redoubt::pg;
  const BpChar *value = PG_GETARG_BPCHAR_PP(0);
  const int length = bpchartruelen(VARDATA_ANY(value), static_cast<int>(VARSIZE_ANY_EXHDR(value)));
  PG_RETURN_TEXT_P(
      cast_text(catalog_call_type(fcinfo, CallSite::result), PG_GETARG_BOOL(2), VARDATA_ANY(value), length));
}

REDOUBT_FUNCTION(redoubt_fpe_detokenize) {
  using namespace redoubt::pg;
  PG_RETURN_TEXT_P(fpe_reveal(policy_require(catalog_call_type(fcinfo, CallSite::argument)), PG_GETARG_TEXT_PP(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_mask) {
  using namespace redoubt::pg;
  PG_RETURN_TEXT_P(
      fpe_reveal_masked(policy_require(catalog_call_type(fcinfo, CallSite::argument)), PG_GETARG_TEXT_PP(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_in) {
  using namespace redoubt::pg;
  const Oid type = catalog_call_type(fcinfo, CallSite::result);
  const char *text = PG_GETARG_CSTRING(0);
  PG_RETURN_INT64(fpe_accept(type, fpe_parse_integer(type, text, strlen(text))));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_recv) {
  using namespace redoubt::pg;
  const Oid type = catalog_call_type(fcinfo, CallSite::result);
  int length = 0;
  const char *text = receive(fcinfo, &length);
  PG_RETURN_INT64(fpe_accept(type, fpe_parse_integer(type, text, static_cast<std::size_t>(length))));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_out) {
  using namespace redoubt::pg;
  PG_RETURN_CSTRING(output(catalog_call_type(fcinfo, CallSite::argument), PG_GETARG_INT64(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_send) {
  using namespace redoubt::pg;
  return send(output(catalog_call_type(fcinfo, CallSite::argument), PG_GETARG_INT64(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_tokenize) {
  using namespace redoubt::pg;
  PG_RETURN_INT64(fpe_tokenize(policy_require(catalog_call_type(fcinfo, CallSite::result)), PG_GETARG_INT64(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_cast) {
  using namespace redoubt::pg;
  PG_RETURN_INT64(cast_integer(catalog_call_type(fcinfo, CallSite::result), PG_GETARG_BOOL(2), PG_GETARG_INT64(0)));
}

// From integer, since PostgreSQL does not go by way of bigint.
REDOUBT_FUNCTION(redoubt_fpe_integer_cast4) {
  using namespace redoubt::pg;
  PG_RETURN_INT64(cast_integer(catalog_call_type(fcinfo, CallSite::result), PG_GETARG_BOOL(2), PG_GETARG_INT32(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_detokenize) {
  using namespace redoubt::pg;
  PG_RETURN_INT64(fpe_reveal(policy_require(catalog_call_type(fcinfo, CallSite::argument)), PG_GETARG_INT64(0)));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_mask) {
  using namespace redoubt::pg;
  PG_RETURN_TEXT_P(
      fpe_reveal_masked(policy_require(catalog_call_type(fcinfo, CallSite::argument)), PG_GETARG_INT64(0)));
}

// tokenize(text, regtype) -> text, for any token type of base text or bigint.
REDOUBT_FUNCTION(redoubt_tokenize_as) {
  using namespace redoubt::pg;
  const TypePolicy *policy = type_argument(fcinfo);
  if (policy->vaulted)  // the planner puts vault_token in the place of what is to write (vault_sql.cpp)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("the vaulted token type %s has to be a constant in tokenize()", policy->name),
                    errhint("redoubt.vault_token(value, type) takes any expression for the type."), errhidestmt(true)));
  const auto value = text_argument(fcinfo);
  if (policy->format == nullptr)
    PG_RETURN_TEXT_P(cstring_to_text(token_text_form(policy->type, token_of_text(policy, value.data(), value.size()))));
  if (!policy->is_integer) PG_RETURN_TEXT_P(fpe_tokenize(policy, value.data(), value.size()));
  const int64 number = fpe_parse_integer(policy->type, value.data(), value.size());
  PG_RETURN_TEXT_P(cstring_to_text(integer_text(fpe_tokenize(policy, number))));
}

// detokenize(text, regtype) -> text
REDOUBT_FUNCTION(redoubt_detokenize_as) {
  using namespace redoubt::pg;
  const TypePolicy *policy = type_argument(fcinfo);
  const auto token = text_argument(fcinfo);
  if (policy->format == nullptr) PG_RETURN_POINTER(token_reveal(policy, token_from_text_form(policy->type, token)));
  if (!policy->is_integer) PG_RETURN_TEXT_P(fpe_reveal(policy, fpe_accept(policy->type, token.data(), token.size())));
  const int64 number = fpe_accept(policy->type, fpe_parse_integer(policy->type, token.data(), token.size()));
  PG_RETURN_TEXT_P(cstring_to_text(integer_text(fpe_reveal(policy, number))));
}

// mask(text, regtype) -> text
REDOUBT_FUNCTION(redoubt_mask_as) {
  using namespace redoubt::pg;
  const TypePolicy *policy = type_argument(fcinfo);
  const auto token = text_argument(fcinfo);
  if (policy->format == nullptr)
    PG_RETURN_TEXT_P(token_reveal_masked(policy, token_from_text_form(policy->type, token)));
  if (!policy->is_integer)
    PG_RETURN_TEXT_P(fpe_reveal_masked(policy, fpe_accept(policy->type, token.data(), token.size())));
  const int64 number = fpe_accept(policy->type, fpe_parse_integer(policy->type, token.data(), token.size()));
  PG_RETURN_TEXT_P(fpe_reveal_masked(policy, number));
}

// check_format(text) -> text: the base of a format, 'text' or 'bigint'; raises
// 22023 with the reason unless it is usable.  A format holds no secret.
REDOUBT_FUNCTION(redoubt_check_format) {
  using namespace redoubt::pg;
  const auto given = text_argument(fcinfo);
  char *utf8 = pg_server_to_any(given.data(), static_cast<int>(given.size()), PG_UTF8);
  const std::size_t size = utf8 == given.data() ? given.size() : strlen(utf8);
  char reason[512] = "";
  bool integer = false;
  {
    std::string problem;
    const std::unique_ptr<redoubt::Format> format = redoubt::Format::make({utf8, size}, problem);
    if (format == nullptr)
      strlcpy(reason, problem.c_str(), sizeof reason);
    else
      integer = format->is_integer();
  }
  if (reason[0] != '\0')
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid format for a token type: %s", reason),
                    errhint("redoubt.formats lists the formats, with an example each.")));
  PG_RETURN_TEXT_P(cstring_to_text(integer ? "bigint" : "text"));
}
