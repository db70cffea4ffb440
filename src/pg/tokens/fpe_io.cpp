// fpe_io.cpp - the SQL functions of format-preserving token types: in, out, recv,
// send, the casts, the tokenizing function, detokenize, mask; and tokenize,
// detokenize and mask for columns that stay text.
//
// Input is a token or a value as fpe_input.h says, since nothing in it tells.  A cast
// that is written out tokenizes.  Binary forms carry the text, of integer types as
// well, because a masked value is no number.
// Covered by sql/fpe.sql and sql/fpe_input.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/log_guard.h"
#include "pg/tokens/fpe_input.h"
#include "pg/tokens/fpe_value.h"
#include "pg/reveal/gate.h"
#include "pg/tokens/pending_value.h"
#include "pg/tokens/token_io.h"
#include "pg/tokens/token_value.h"
#include "pg/base/varlena_view.h"

extern "C" {
#include "libpq/pqformat.h"
}

namespace redoubt::pg {
namespace {

// A base: what values and tokens of a type are.  Its members say how they are taken from a call, from a text, and
// given back.
struct TextBase {
  static std::string_view argument(Datum value) { return varlena_text(DatumGetTextPP(value)); }
  static std::string_view parse(Oid, std::string_view token) { return token; }
  static std::string_view parse_value(const TokenType *, std::string_view value) { return value; }
  static Datum datum(text *value) { return PointerGetDatum(value); }
  static char *to_cstring(const text *value) { return text_to_cstring(value); }
  static char *to_cstring(std::string_view token) { return pnstrdup(token.data(), token.size()); }
  static text *to_text(text *value) { return value; }
};

struct IntegerBase {
  static int64 argument(Datum value) { return DatumGetInt64(value); }
  static int64 parse(Oid type, std::string_view token) { return fpe_parse_integer(type, token); }
  static int64 parse_value(const TokenType *token_type, std::string_view value) {
    return fpe_parse_integer_value(token_type, value);
  }
  static Datum datum(int64 value) { return Int64GetDatum(value); }
  static char *to_cstring(int64 value) {
    auto *digits = static_cast<char *>(palloc(MAXINT8LEN + 1));
    pg_lltoa(value, digits);
    return digits;
  }
  static text *to_text(int64 value) { return cstring_to_text(to_cstring(value)); }
};

Oid argument_type(FunctionCallInfo fcinfo) { return called_token_type(fcinfo, CallSite::argument); }
Oid result_type(FunctionCallInfo fcinfo) { return called_token_type(fcinfo, CallSite::result); }

// Null for a type without a row yet (a restore that loads the data first), which takes tokens.
const TokenType *takes_values(Oid oid, bool warns) {
  const TokenType *type = token_type_find(oid);
  if (type == nullptr || fpe_input_is_value(type)) return type;
  if (warns) fpe_warn_token(type);
  return nullptr;
}

template <typename Base>
Datum in(FunctionCallInfo fcinfo, std::string_view text) {
  const Oid oid = result_type(fcinfo);
  const TokenType *type = takes_values(oid, true);
  if (type == nullptr) return Base::datum(fpe_accept(oid, Base::parse(oid, text)));
  if (type->vaulted) return PointerGetDatum(pending_value_of_input(type, fcinfo->flinfo, text));
  return Base::datum(fpe_tokenize(type, Base::parse_value(type, text)));
}

template <typename Base>
Datum receive(FunctionCallInfo fcinfo) {
  auto *message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
  int length = 0;
  const char *text = pq_getmsgtext(message, message->len - message->cursor, &length);
  return in<Base>(fcinfo, {text, static_cast<std::size_t>(length)});
}

// The output functions' text.
template <typename Base>
char *out(FunctionCallInfo fcinfo) {
  if (std::is_same_v<Base, TextBase> && pending_value_is(DatumGetTextPP(PG_GETARG_DATUM(0))))
    return pstrdup(kPendingShown);
  const auto token = Base::argument(PG_GETARG_DATUM(0));
  const TokenType *type = nullptr;
  switch (token_io_output_form(argument_type(fcinfo), &type)) {
    case Reveal::masked:
      return text_to_cstring(fpe_open_masked(type, token, false));
    case Reveal::plain:
      return Base::to_cstring(fpe_open(type, token, false));
    default:
      return Base::to_cstring(token);
  }
}

template <typename Base>
Datum send(FunctionCallInfo fcinfo) {
  const char *text = out<Base>(fcinfo);
  StringInfoData buffer;
  pq_begintypsend(&buffer);
  pq_sendtext(&buffer, text, static_cast<int>(strlen(text)));
  PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

template <typename Base>
Datum tokenize(FunctionCallInfo fcinfo) {
  const TokenType *type = token_type_require(result_type(fcinfo));
  if (fpe_argument_is_token(fcinfo, type->type)) fpe_refuse_again(type);
  return Base::datum(fpe_tokenize(type, Base::argument(PG_GETARG_DATUM(0))));
}

// A cast: one that is written out tokenizes.
template <typename Base, typename Value>
Datum cast(FunctionCallInfo fcinfo, Value value) {
  const Oid oid = result_type(fcinfo);
  const bool again = fpe_argument_is_token(fcinfo, oid) || PG_GETARG_INT32(1) == kFpeIsToken;
  if (PG_GETARG_BOOL(2)) {
    const TokenType *type = token_type_require(oid);
    if (again) fpe_refuse_again(type);
    return Base::datum(fpe_tokenize(type, value));
  }
  const TokenType *type = again ? nullptr : takes_values(oid, !fpe_argument_is_own(fcinfo));
  if (type != nullptr) fpe_refuse_hidden(fcinfo, type);
  return Base::datum(type != nullptr ? fpe_tokenize(type, value) : fpe_accept(oid, value));
}

// What a column is compared with: the token of a value, or one that no row has; a token as it is.
template <typename Base, typename Value>
Datum sought(FunctionCallInfo fcinfo, Value value) {
  const Oid oid = result_type(fcinfo);
  const TokenType *type = fpe_argument_is_token(fcinfo, oid) ? nullptr : takes_values(oid, false);
  return type != nullptr ? Base::datum(fpe_sought(type, value)) : PG_GETARG_DATUM(0);
}

template <typename Base>
Datum detokenize(FunctionCallInfo fcinfo) {
  return Base::datum(fpe_reveal(token_type_require(argument_type(fcinfo)), Base::argument(PG_GETARG_DATUM(0))));
}

template <typename Base>
Datum mask(FunctionCallInfo fcinfo) {
  return PointerGetDatum(
      fpe_reveal_masked(token_type_require(argument_type(fcinfo)), Base::argument(PG_GETARG_DATUM(0))));
}

// tokenize, detokenize and mask for columns that stay text.
template <typename Base>
text *tokenize_as(const TokenType *type, std::string_view value) {
  return Base::to_text(fpe_tokenize(type, Base::parse_value(type, value)));
}

template <typename Base>
text *detokenize_as(const TokenType *type, std::string_view text) {
  const auto token = Base::parse(type->type, text);
  fpe_check(type->type, token);
  return Base::to_text(fpe_reveal(type, token));
}

template <typename Base>
text *mask_as(const TokenType *type, std::string_view text) {
  const auto token = Base::parse(type->type, text);
  fpe_check(type->type, token);
  return fpe_reveal_masked(type, token);
}

}  // namespace
}  // namespace redoubt::pg

REDOUBT_FUNCTION(redoubt_fpe_in) { return redoubt::pg::in<redoubt::pg::TextBase>(fcinfo, PG_GETARG_CSTRING(0)); }
REDOUBT_FUNCTION(redoubt_fpe_recv) { return redoubt::pg::receive<redoubt::pg::TextBase>(fcinfo); }
REDOUBT_FUNCTION(redoubt_fpe_out) { PG_RETURN_CSTRING(redoubt::pg::out<redoubt::pg::TextBase>(fcinfo)); }
REDOUBT_FUNCTION(redoubt_fpe_send) { return redoubt::pg::send<redoubt::pg::TextBase>(fcinfo); }
REDOUBT_FUNCTION(redoubt_fpe_tokenize) { return redoubt::pg::tokenize<redoubt::pg::TextBase>(fcinfo); }
REDOUBT_FUNCTION(redoubt_fpe_detokenize) { return redoubt::pg::detokenize<redoubt::pg::TextBase>(fcinfo); }
REDOUBT_FUNCTION(redoubt_fpe_mask) { return redoubt::pg::mask<redoubt::pg::TextBase>(fcinfo); }

REDOUBT_FUNCTION(redoubt_fpe_cast) {
  using namespace redoubt::pg;
  return cast<TextBase>(fcinfo, TextBase::argument(PG_GETARG_DATUM(0)));
}

// The padding of character(n) is no part of the value.
REDOUBT_FUNCTION(redoubt_fpe_cast_bpchar) {
  using namespace redoubt::pg;
  const std::string_view value = TextBase::argument(PG_GETARG_DATUM(0));
  const int length = bpchartruelen(const_cast<char *>(value.data()), static_cast<int>(value.size()));
  return cast<TextBase>(fcinfo, value.substr(0, static_cast<std::size_t>(length)));
}

REDOUBT_FUNCTION(redoubt_fpe_sought) {
  using namespace redoubt::pg;
  return sought<TextBase>(fcinfo, TextBase::argument(PG_GETARG_DATUM(0)));
}
REDOUBT_FUNCTION(redoubt_fpe_integer_sought) {
  return redoubt::pg::sought<redoubt::pg::IntegerBase>(fcinfo, PG_GETARG_INT64(0));
}

REDOUBT_FUNCTION(redoubt_fpe_integer_in) {
  return redoubt::pg::in<redoubt::pg::IntegerBase>(fcinfo, PG_GETARG_CSTRING(0));
}
REDOUBT_FUNCTION(redoubt_fpe_integer_recv) { return redoubt::pg::receive<redoubt::pg::IntegerBase>(fcinfo); }
REDOUBT_FUNCTION(redoubt_fpe_integer_out) { PG_RETURN_CSTRING(redoubt::pg::out<redoubt::pg::IntegerBase>(fcinfo)); }
REDOUBT_FUNCTION(redoubt_fpe_integer_send) { return redoubt::pg::send<redoubt::pg::IntegerBase>(fcinfo); }
REDOUBT_FUNCTION(redoubt_fpe_integer_tokenize) { return redoubt::pg::tokenize<redoubt::pg::IntegerBase>(fcinfo); }
REDOUBT_FUNCTION(redoubt_fpe_integer_detokenize) { return redoubt::pg::detokenize<redoubt::pg::IntegerBase>(fcinfo); }
REDOUBT_FUNCTION(redoubt_fpe_integer_mask) { return redoubt::pg::mask<redoubt::pg::IntegerBase>(fcinfo); }

REDOUBT_FUNCTION(redoubt_fpe_integer_cast) {
  return redoubt::pg::cast<redoubt::pg::IntegerBase>(fcinfo, PG_GETARG_INT64(0));
}

// From integer, since PostgreSQL does not go by way of bigint.
REDOUBT_FUNCTION(redoubt_fpe_integer_cast4) {
  return redoubt::pg::cast<redoubt::pg::IntegerBase>(fcinfo, int64{PG_GETARG_INT32(0)});
}

// tokenize(text, regtype) -> text, for any token type of base text or bigint.
REDOUBT_FUNCTION(redoubt_tokenize_as) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_argument(PG_GETARG_OID(1));
  if (type->vaulted)  // the planner puts vault_token in the place of what is to write (vault_planner.cpp)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("the vaulted token type %s has to be a constant in tokenize()", type->name),
                    errhint("redoubt.vault_token(value, type) takes any expression for the type."), errhidestmt(true)));
  const auto value = TextBase::argument(PG_GETARG_DATUM(0));
  if (type->format == nullptr) PG_RETURN_TEXT_P(cstring_to_text(token_text_of_text(type, value.data(), value.size())));
  fpe_require_token_input(fcinfo, type);
  PG_RETURN_TEXT_P(type->is_integer ? tokenize_as<IntegerBase>(type, value) : tokenize_as<TextBase>(type, value));
}

// check_value(text, regtype) -> text: what is wrong with a value, of which nothing is in the answer.
REDOUBT_FUNCTION(redoubt_check_value) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_argument(PG_GETARG_OID(1));
  const auto value = TextBase::argument(PG_GETARG_DATUM(0));
  log_guard_mark();
  const redoubt::Refusal problem = type->format != nullptr ? fpe_problem(type, value) : token_problem(type, value);
  if (problem.ok()) PG_RETURN_NULL();
  if (problem.position == 0) PG_RETURN_TEXT_P(cstring_to_text(problem.reason));
  PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s at character %zu", problem.reason, problem.position)));
}

// detokenize(text, regtype) -> text
REDOUBT_FUNCTION(redoubt_detokenize_as) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_argument(PG_GETARG_OID(1));
  const auto token = TextBase::argument(PG_GETARG_DATUM(0));
  if (type->format == nullptr) PG_RETURN_POINTER(token_reveal(type, token_from_text_form(type->type, token)));
  PG_RETURN_TEXT_P(type->is_integer ? detokenize_as<IntegerBase>(type, token) : detokenize_as<TextBase>(type, token));
}

// mask(text, regtype) -> text
REDOUBT_FUNCTION(redoubt_mask_as) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_argument(PG_GETARG_OID(1));
  const auto token = TextBase::argument(PG_GETARG_DATUM(0));
  if (type->format == nullptr) PG_RETURN_TEXT_P(token_reveal_masked(type, token_from_text_form(type->type, token)));
  PG_RETURN_TEXT_P(type->is_integer ? mask_as<IntegerBase>(type, token) : mask_as<TextBase>(type, token));
}

// check_format(text) -> text: the base of a format, 'text' or 'bigint'; raises
// 22023 with the reason unless it is usable.  A format holds no secret.
REDOUBT_FUNCTION(redoubt_check_format) {
  using namespace redoubt::pg;
  const auto given = TextBase::argument(PG_GETARG_DATUM(0));
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
