// token_io.cpp - the SQL functions every token type is made of: in, out, recv,
// send, the casts, detokenize, mask, token_info.
//
// One C function serves all types; which type is meant comes from the catalog
// entry of the SQL function that was called (called_token_type).
// Covered by sql/token_types.sql, sql/reveal.sql and sql/hostile_input.sql.
#include "pg/base/boundary.h"

#include "core/token.h"
#include "pg/base/catalog.h"
#include "pg/base/compat.h"
#include "pg/base/delivery.h"
#include "pg/reveal/disclosure.h"
#include "pg/reveal/gate.h"
#include "pg/audit/kek.h"
#include "pg/limits/limits.h"
#include "pg/base/log_guard.h"
#include "pg/base/settings.h"
#include "pg/base/shared_memory.h"
#include "pg/tokens/pending_value.h"
#include "pg/tokens/token_io.h"
#include "pg/tokens/token_value.h"
#include "pg/base/varlena_view.h"

extern "C" {
#include "libpq/pqformat.h"
}

namespace redoubt::pg {
namespace {

// Input is transparent: a token as it is, anything else is plaintext.
bytea *input(Oid type, const char *text, std::size_t length) {
  if (token_has_prefix({text, length})) return token_from_text_form(type, {text, length});
  return token_of_text(token_type_require(type), text, length);
}

bytea *literal(Oid type, const FmgrInfo *input_function, const char *text, std::size_t length) {
  const TokenType *token_type = token_has_prefix({text, length}) ? nullptr : token_type_require(type);
  if (token_type != nullptr && token_type->vaulted)
    return pending_value_of_input(token_type, input_function, {text, length});
  return input(type, text, length);
}

// What redoubt.reveal comes to for this type, here and now, before any limit.
Reveal wanted_reveal(Oid type, const TokenType **token_type) {
  const auto wanted = static_cast<Reveal>(setting_reveal);
  if (wanted == Reveal::token || !delivery_to_reader()) return Reveal::token;
  *token_type = token_type_require(type);
  if (wanted != Reveal::automatic) {
    gate_require_implicit(*token_type, wanted == Reveal::plain ? Privilege::reveal : Privilege::masked);
    return wanted;
  }
  if (gate_allows_implicit(*token_type, Privilege::reveal)) return Reveal::plain;
  if (gate_allows_implicit(*token_type, Privilege::masked)) return Reveal::masked;
  return Reveal::token;
}

// A place in a plan that opens tokens of one type.
struct OpeningSite {
  Oid type;
  Oid user;               // who held the privilege
  TimestampTz statement;  // and when
};

[[noreturn]] void refuse_to_show(const TokenType *type) {
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("a value of token type %s cannot be shown", type->name),
           errdetail("An expression of the value is no token, and here the value itself is not revealed."),
           errhint("To show it, set redoubt.reveal to auto; to store it, call detokenize() or mask(). Each takes its "
                   "privilege."),
           errhidestmt(true)));
  pg_unreachable();
}

}  // namespace

// A limit that degrades turns plain into masked, if the role may see that, and
// masked into a token.
Reveal token_io_output_form(Oid type, const TokenType **token_type) {
  const Reveal wanted = wanted_reveal(type, token_type);
  if (wanted == Reveal::token) {
    // Rows out of a tuple store passed no read meter, and what a meter left to be revealed is none.
    if (shared_memory_ready() && ((delivery_from_store() && !delivery_store_is_paid()) || delivery_note_token()) &&
        token_type_find(type) != nullptr)
      limits_charge(type, Operation::read, 1);
    return Reveal::token;
  }
  if (wanted == Reveal::plain && disclosure_charge_or_degrade(*token_type, Operation::reveal)) return Reveal::plain;
  if ((wanted == Reveal::masked || gate_allows_implicit(*token_type, Privilege::masked)) &&
      disclosure_charge_or_degrade(*token_type, Operation::masked))
    return Reveal::masked;
  // A token that looks like a value would be written back as one.
  if ((*token_type)->format != nullptr)
    disclosure_require(*token_type, wanted == Reveal::plain ? Operation::reveal : Operation::masked);
  limits_charge(type, Operation::read, 1);  // no read meter charged what was to be revealed
  return Reveal::token;
}

void token_io_refuse_literal(const TokenType *type) {
  log_guard_mark();
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("a literal of token type %s is no token", type->name),
           errhint("redoubt.tokenize(value, '%s') makes the token of a value; %s_find(value) finds it.", type->name,
                   type->name),
           errhidestmt(true)));
  pg_unreachable();
}

void token_io_require_plain(const TokenType *type) {
  const TokenType *found = nullptr;
  if (wanted_reveal(type->type, &found) != Reveal::plain) refuse_to_show(type);
}

Reveal token_io_deliver(Oid oid, std::uint32_t values, const TokenType **type) {
  const Reveal wanted = wanted_reveal(oid, type);
  *type = token_type_require(oid);
  const auto charge_rest = [values, type](Operation op) {
    if (values > 1) disclosure_require(*type, op, values - 1);
  };
  if (wanted == Reveal::plain && disclosure_charge_or_degrade(*type, Operation::reveal)) {
    charge_rest(Operation::reveal);
    return Reveal::plain;
  }
  if ((wanted == Reveal::masked || (wanted == Reveal::plain && gate_allows_implicit(*type, Privilege::masked))) &&
      disclosure_charge_or_degrade(*type, Operation::masked)) {
    charge_rest(Operation::masked);
    return Reveal::masked;
  }
  // What a used-up limit degrades further would be a token.
  if (wanted != Reveal::token)
    disclosure_require(*type, wanted == Reveal::plain ? Operation::reveal : Operation::masked, values);
  refuse_to_show(*type);
}

void type_refuse(Oid type, const char *what, const char *hint) {
  if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(type)))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("type with OID %u does not exist", type),
                    errhint("%s", hint), errhidestmt(true)));
  ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not %s", format_type_be(type), what),
                  errhint("%s", hint), errhidestmt(true)));
  pg_unreachable();
}

const TokenType *token_type_argument(Oid type) {
  const TokenType *token_type = token_type_find(type);
  if (token_type == nullptr) type_refuse(type, "a token type", "redoubt.token_types lists the token types.");
  if (token_type->is_bytes)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("token type %s is not of base text", token_type->name),
                    errhidestmt(true)));
  return token_type;
}

namespace {

// The output function's text: token, masked or plain.
[[gnu::noinline]] char *output(Oid type, const bytea *token) {
  if (pending_value_is(token)) return pstrdup(kPendingShown);
  const TokenType *token_type = nullptr;
  switch (token_io_output_form(type, &token_type)) {
    case Reveal::masked:
      if (const text *masked = token_open_masked(token_type, token, false)) return text_to_cstring(masked);
      return token_text_form(type, token);  // gone from the vault
    case Reveal::plain: {
      varlena *value = token_open(token_type, token, false);
      if (value == nullptr) return token_text_form(type, token);
      if (token_type->is_bytes) return DatumGetCString(DirectFunctionCall1(byteaout, PointerGetDatum(value)));
      return text_to_cstring(value);
    }
    default:
      return token_text_form(type, token);
  }
}

}  // namespace
}  // namespace redoubt::pg

REDOUBT_FUNCTION(redoubt_token_in) {
  using namespace redoubt::pg;
  const char *text = PG_GETARG_CSTRING(0);
  const Oid type = called_token_type(fcinfo, CallSite::result);
  if (compat_wants_soft_errors(fcinfo)) {
    const TokenType *token_type = token_type_require(type);
    const redoubt::Refusal problem = token_problem(token_type, text);
    if (!problem.ok() && (problem.absolute || !token_type->keeps_invalid)) {
      log_guard_mark();
      value_refuse_softly(token_type, problem, fcinfo->context);
      PG_RETURN_NULL();
    }
  }
  PG_RETURN_BYTEA_P(literal(type, fcinfo->flinfo, text, strlen(text)));
}

REDOUBT_FUNCTION(redoubt_token_recv) {
  using namespace redoubt::pg;
  auto *message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
  int length = 0;
  const char *text = pq_getmsgtext(message, message->len - message->cursor, &length);
  PG_RETURN_BYTEA_P(
      literal(called_token_type(fcinfo, CallSite::result), fcinfo->flinfo, text, static_cast<std::size_t>(length)));
}

REDOUBT_FUNCTION(redoubt_token_out) {
  using namespace redoubt::pg;
  PG_RETURN_CSTRING(output(called_token_type(fcinfo, CallSite::argument), PG_GETARG_BYTEA_PP(0)));
}

REDOUBT_FUNCTION(redoubt_token_send) {
  using namespace redoubt::pg;
  const char *text = output(called_token_type(fcinfo, CallSite::argument), PG_GETARG_BYTEA_PP(0));
  StringInfoData buffer;
  pq_begintypsend(&buffer);
  pq_sendtext(&buffer, text, static_cast<int>(strlen(text)));
  PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

// The cast from text (also from varchar, which is binary-coercible to text).
REDOUBT_FUNCTION(redoubt_tokenize_text) {
  using namespace redoubt::pg;
  const Oid type = called_token_type(fcinfo, CallSite::result);
  const text *value = PG_GETARG_TEXT_PP(0);
  PG_RETURN_BYTEA_P(input(type, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)));
}

// The cast from character(n): its padding is no part of the value.
REDOUBT_FUNCTION(redoubt_tokenize_bpchar) {
  using namespace redoubt::pg;
  const Oid type = called_token_type(fcinfo, CallSite::result);
  const BpChar *value = PG_GETARG_BPCHAR_PP(0);
  const auto length = bpchartruelen(VARDATA_ANY(value), static_cast<int>(VARSIZE_ANY_EXHDR(value)));
  PG_RETURN_BYTEA_P(input(type, VARDATA_ANY(value), static_cast<std::size_t>(length)));
}

// The cast from bytea: always plaintext.
REDOUBT_FUNCTION(redoubt_tokenize_bytes) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_require(called_token_type(fcinfo, CallSite::result));
  PG_RETURN_BYTEA_P(token_of_bytes(type, varlena_bytes(PG_GETARG_BYTEA_PP(0))));
}

REDOUBT_FUNCTION(redoubt_detokenize) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_require(called_token_type(fcinfo, CallSite::argument));
  PG_RETURN_POINTER(token_reveal(type, PG_GETARG_BYTEA_PP(0)));
}

// The cast to text, where no plan meters what becomes of the value: an assignment of PL/pgSQL, a constraint.  It gives
// what the output function does.
REDOUBT_FUNCTION(redoubt_open_value) {
  using namespace redoubt::pg;
  PG_RETURN_TEXT_P(cstring_to_text(output(called_token_type(fcinfo, CallSite::argument), PG_GETARG_BYTEA_PP(0))));
}

// search(token): the same for who may search; EXECUTE on it is that privilege.
REDOUBT_FUNCTION(redoubt_search) {
  using namespace redoubt::pg;
  const Oid type = called_token_type(fcinfo, CallSite::argument);
  gate_require_authors(token_type_require(type), Privilege::search);
  PG_RETURN_TEXT_P(cstring_to_text(output(type, PG_GETARG_BYTEA_PP(0))));
}

// opened(token, internal): the cast inside a plan that is metered, see plan/opened.cpp.  The privilege is asked for
// once in a statement of the client, so again for the next rows of a cursor; what is delivered asks for it value by
// value.
REDOUBT_FUNCTION(redoubt_opened) {
  using namespace redoubt::pg;
  auto *site = static_cast<OpeningSite *>(fcinfo->flinfo->fn_extra);
  if (site == nullptr) {
    site = static_cast<OpeningSite *>(MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(OpeningSite)));
    site->type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0));
    fcinfo->flinfo->fn_extra = site;
  }
  const TokenType *type = token_type_require(site->type);
  if (VARSIZE_ANY_EXHDR(PG_GETARG_POINTER(1)) > 0) {  // nothing else charges for it
    token_io_require_plain(type);
    PG_RETURN_POINTER(token_reveal(type, PG_GETARG_BYTEA_PP(0)));
  }
  const TimestampTz statement = GetCurrentStatementStartTimestamp();
  if (site->statement != statement || site->user != GetUserId()) {
    require_preloaded();
    require_kek();
    gate_require_authors(type, Privilege::search);
    site->statement = statement;
    site->user = GetUserId();
  }
  PG_RETURN_POINTER(token_open(type, PG_GETARG_BYTEA_PP(0), true));
}

// token(anynonarray) -> text: the token, whatever redoubt.reveal says.
REDOUBT_FUNCTION(redoubt_token) {
  using namespace redoubt::pg;
  const Oid oid = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0));
  const TokenType *type = token_type_find(oid);
  if (type == nullptr) type_refuse(oid, "a token type", "redoubt.token_types lists the token types.");
  if (type->is_integer) PG_RETURN_TEXT_P(cstring_to_text(psprintf(INT64_FORMAT, PG_GETARG_INT64(0))));
  if (type->format != nullptr) PG_RETURN_TEXT_P(PG_GETARG_TEXT_P_COPY(0));
  PG_RETURN_TEXT_P(cstring_to_text(token_text_form(oid, PG_GETARG_BYTEA_PP(0))));
}

REDOUBT_FUNCTION(redoubt_mask) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_require(called_token_type(fcinfo, CallSite::argument));
  PG_RETURN_TEXT_P(token_reveal_masked(type, PG_GETARG_BYTEA_PP(0)));
}

// token_info(anyelement) -> (type, key, key_version, form, bytes): what a token
// says of itself without any key.
REDOUBT_FUNCTION(redoubt_token_info) {
  using namespace redoubt::pg;
  const Oid type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0));  // of a domain, the token type below it
  const TokenType *token_type = token_type_find(type);
  if (token_type == nullptr)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not a token type", format_type_be(type)),
                    errhint("redoubt.token_types lists the token types.")));
  TupleDesc descriptor = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
    elog(ERROR, "return type must be a row");
  bool nulls[5] = {};
  if (token_type->format != nullptr) {
    const Datum size = token_type->is_integer ? sizeof(int64) : VARSIZE_ANY_EXHDR(PG_GETARG_BYTEA_PP(0));
    nulls[2] = token_type->vaulted;  // the vault knows the version
    const char *form = token_type->vaulted ? "vaulted" : "format-preserving";
    Datum values[] = {ObjectIdGetDatum(type), CStringGetTextDatum(NameStr(token_type->key)),
                      Int32GetDatum(token_type->key_version), CStringGetTextDatum(form),
                      Int32GetDatum(static_cast<int32>(size))};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
  }
  const bytea *token = PG_GETARG_BYTEA_PP(0);
  const auto view = redoubt::token_parse(varlena_bytes(token));
  if (!view.ok())
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("corrupt token in a value of type %s", token_type->name)));
  nulls[2] = view->vaulted;
  const char *form = view->vaulted ? "vaulted" : view->randomised ? "randomised" : "deterministic";
  Datum values[] = {ObjectIdGetDatum(type), CStringGetTextDatum(NameStr(token_type->key)),
                    Int32GetDatum(view->key_version), CStringGetTextDatum(form),
                    Int32GetDatum(static_cast<int32>(VARSIZE_ANY_EXHDR(token)))};
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
