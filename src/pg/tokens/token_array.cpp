// token_array.cpp - the array forms: a whole array of values tokenized, detokenized or masked by one call.
//
// What it is: for every token type t of base b, t(b[]) -> t[], redoubt.detokenize(t[]) -> b[] and
// redoubt.mask(t[]) -> text[]; and tokenize, detokenize and mask of text[] with the type as an argument.
// What it is not: another gate.  The functions may be executed by everybody and ask for the privilege on the type's
// function for single values, so that one GRANT gives both and none is to be forgotten at a REVOKE.
// Invariant: each element counts as one value, null elements as none; they are charged all or none, before the first
// is opened.  Dimensions, bounds and nulls are those of the argument.
// Covered by sql/arrays.sql and sql/vault_arrays.sql.
#include "pg/base/boundary.h"

#include "pg/base/array_items.h"
#include "core/token.h"
#include "pg/base/catalog.h"
#include "pg/reveal/disclosure.h"
#include "pg/tokens/fpe_array.h"
#include "pg/tokens/fpe_input.h"
#include "pg/tokens/fpe_value.h"
#include "pg/tokens/token_io.h"
#include "pg/tokens/token_value.h"
#include "pg/base/plaintext.h"
#include "pg/base/varlena_array.h"
#include "pg/base/varlena_view.h"
#include "pg/vault/vault.h"

namespace redoubt::pg {
namespace {

// An array taken apart: its elements without the nulls, to be replaced one by one.
struct Elements {
  ArrayType *array;
  const bool *null;  // of each of `size` elements
  int size;
  Datum *value;  // `count` of them
  int count;

  std::span<Datum> values() const noexcept { return {value, static_cast<std::size_t>(count)}; }
};

Elements take_apart(FunctionCallInfo fcinfo) {
  ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
  const ArrayItems items = array_items(array);
  Elements made = {array, items.null, items.size, items.value, 0};
  for (int i = 0; i < made.size; ++i)
    if (!made.null[i]) made.value[made.count++] = made.value[i];
  return made;
}

// The array of the elements as they are now, of type `element`.
ArrayType *put_together(const Elements &elements, Oid element) {
  if (elements.size == 0) return construct_empty_array(element);
  Datum *value = elements.value;
  bool *null = nullptr;
  if (elements.count < elements.size) {
    null = const_cast<bool *>(elements.null);
    value = static_cast<Datum *>(palloc0(sizeof(Datum) * static_cast<std::size_t>(elements.size)));
    int next = 0;
    for (int i = 0; i < elements.size; ++i)
      if (!null[i]) value[i] = elements.value[next++];
  }
  return array_shaped(elements.array, element, value, null);
}

std::string_view view_of(Datum value) { return varlena_text(DatumGetPointer(value)); }

Datum integer_text(Datum value) {
  char digits[MAXINT8LEN + 1];
  const int size = pg_lltoa(DatumGetInt64(value), digits);
  return PointerGetDatum(cstring_to_text_with_len(digits, size));
}

Oid base_of(const TokenType *type) { return type->is_bytes ? BYTEAOID : type->is_integer ? INT8OID : TEXTOID; }

// The tokens of an array are charged for together, once for an array that is evaluated twice in one statement.
// The vault has charged for its own.
Datum charged(const TokenType *type, ArrayType *tokens, int values) {
  if (type->vaulted) PG_RETURN_ARRAYTYPE_P(tokens);
  disclosure_tokenize_charge(type, {reinterpret_cast<const std::uint8_t *>(tokens), VARSIZE(tokens)},
                             static_cast<uint32>(values));
  PG_RETURN_ARRAYTYPE_P(tokens);
}

// Sealed types of which the vault has no part: arrays of these are read and made element by element.
bool is_sealed(const TokenType *type) { return type->format == nullptr && !type->vaulted; }

std::span<std::uint8_t> add_bytes(VarlenaArrayMaker &to, std::size_t size) {
  return {reinterpret_cast<std::uint8_t *>(to.add(size)), size};
}

// The value of an element of the type's base.
Plaintext plaintext_of(const TokenType *type, const varlena *element) {
  if (type->is_bytes) return {varlena_bytes(element), varlena_bytes(element)};
  const std::string_view given = varlena_text(element);
  return token_plaintext(type, given.data(), given.size());
}

// t(b[]).  A text in the form of a token is one, as for single values.
Datum seal_all(const TokenType *type, ArrayType *values) {
  VarlenaArrayMaker to(values, type->type, kTokenOverhead + kTokenNonceSize);
  int sealed = 0;
  for (VarlenaArrayReader from(values); from.left() > 0;) {
    CHECK_FOR_INTERRUPTS();
    const varlena *element = from.next();
    if (!type->is_bytes && token_has_prefix(varlena_text(element))) {
      to.add(varlena_text(token_from_text_form(type->type, varlena_text(element))));
      continue;
    }
    const std::size_t size = varlena_bytes(element).size();
    if (sealed == 0 || size == 0)
      sealed += token_allowed(type, size) ? 1 : 0;
    else
      ++sealed;
    const Plaintext value = plaintext_of(type, element);
    token_seal(type, value, add_bytes(to, token_sealed_size(type, value)));
  }
  return charged(type, to.finish(), sealed);
}

// tokenize(text[], regtype): tokens in text form.
Datum seal_all_as(const TokenType *type, ArrayType *values) {
  disclosure_tokenize_allowed(type);
  VarlenaArrayMaker to(values, TEXTOID, kTokenPrefix.size() + kTokenOverhead + kTokenNonceSize);
  int sealed = 0;
  for (VarlenaArrayReader from(values); from.left() > 0; ++sealed) {
    CHECK_FOR_INTERRUPTS();
    const Plaintext value = plaintext_of(type, from.next()).normal_only();
    const std::size_t size = token_sealed_size(type, value);
    auto *token = static_cast<std::uint8_t *>(palloc(size));
    token_seal(type, value, {token, size});
    const std::size_t text_size = token_text_size(size);
    (void)token_to_text({token, size}, {to.add(text_size), text_size});
    pfree(token);
  }
  return charged(type, to.finish(), sealed);
}

// The tokens of an array of their text forms.  22P02 unless all are well-formed.
ArrayType *parse_all(const TokenType *type, ArrayType *texts) {
  VarlenaArrayMaker to(texts, type->type);
  for (VarlenaArrayReader from(texts); from.left() > 0;) {
    CHECK_FOR_INTERRUPTS();
    bytea *token = token_from_text_form(type->type, varlena_text(from.next()));
    to.add(varlena_text(token));
    pfree(token);
  }
  return to.finish();
}

// detokenize(t[]) and mask(t[]), in an array of `element`.
Datum open_all_sealed(const TokenType *type, Operation op, ArrayType *tokens, Oid element) {
  disclosure_require(type, op, static_cast<uint32>(array_count(tokens)));
  VarlenaArrayMaker to(tokens, element);
  const bool as_kept = op != Operation::masked && (type->is_bytes || GetDatabaseEncoding() == PG_UTF8);
  for (VarlenaArrayReader from(tokens); from.left() > 0;) {
    CHECK_FOR_INTERRUPTS();
    const auto *token = reinterpret_cast<const bytea *>(from.next());
    if (as_kept) {
      const TokenView view = token_view(type, token);
      to.shorten(token_open_into(type, view, add_bytes(to, view.ciphertext.size())));
      continue;
    }
    varlena *value = op == Operation::masked ? token_open_masked(type, token, true) : token_open(type, token, true);
    to.add(varlena_text(value));
    pfree(value);
  }
  PG_RETURN_ARRAYTYPE_P(to.finish());
}

// Tokens of a vaulted type, which charges for them.
void vault_all(const TokenType *type, std::span<Datum> values, bool transparent) {
  auto *plain = static_cast<Datum *>(palloc(sizeof(Datum) * values.size()));
  auto *index = static_cast<int *>(palloc(sizeof(int) * values.size()));
  std::size_t count = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK_FOR_INTERRUPTS();
    const std::string_view given = view_of(values[i]);
    if (transparent && !type->is_bytes && token_has_prefix(given)) {
      values[i] = PointerGetDatum(token_from_text_form(type->type, given));
      continue;
    }
    if (count == 0) disclosure_tokenize_allowed(type);
    const std::span<const std::uint8_t> value =
        type->is_bytes && transparent ? std::span(reinterpret_cast<const std::uint8_t *>(given.data()), given.size())
                                      : token_plaintext(type, given.data(), given.size()).normal;
    index[count] = static_cast<int>(i);
    plain[count++] = PointerGetDatum(plaintext_copy(value));
  }
  vault_tokenize_all(type, {plain, count});
  for (std::size_t i = 0; i < count; ++i)
    values[static_cast<std::size_t>(index[i])] =
        PointerGetDatum(token_of_vault_key(reinterpret_cast<const bytea *>(DatumGetPointer(plain[i]))));
}

// Opens tokens, masked or plain, for a reader who has been admitted.
void open_all(const TokenType *type, Operation op, std::span<Datum> tokens) {
  if (type->format != nullptr) return fpe_open_all(type, op, tokens);
  for (Datum &token : tokens) {
    CHECK_FOR_INTERRUPTS();
    const auto *sealed = reinterpret_cast<const bytea *>(DatumGetPointer(token));
    token = op == Operation::masked ? PointerGetDatum(token_open_masked(type, sealed, true))
                                    : PointerGetDatum(token_open(type, sealed, true));
  }
}

// Values, plain or masked, of tokens of a type that fpe_array takes whole; both are texts.
Datum reveal_texts(const TokenType *type, Operation op, ArrayType *tokens) {
  disclosure_require(type, op, static_cast<uint32>(array_count(tokens)));
  PG_RETURN_ARRAYTYPE_P(fpe_array_open(type, op, tokens, TEXTOID));
}

// Their tokens, in an array of `element`.
Datum tokenize_texts(const TokenType *type, ArrayType *values, Oid element) {
  disclosure_tokenize_allowed(type);
  return charged(type, fpe_array_tokenize(type, values, element), array_count(values));
}

// detokenize(t[]) and mask(t[])
Datum reveal(FunctionCallInfo fcinfo, Operation op) {
  const TokenType *type = token_type_require(get_element_type(called_token_type(fcinfo, CallSite::argument)));
  if (fpe_array_texts(type)) return reveal_texts(type, op, PG_GETARG_ARRAYTYPE_P(0));
  const Oid element = op == Operation::masked ? TEXTOID : base_of(type);
  if (is_sealed(type)) return open_all_sealed(type, op, PG_GETARG_ARRAYTYPE_P(0), element);
  const Elements elements = take_apart(fcinfo);
  disclosure_require(type, op, static_cast<uint32>(elements.count));
  open_all(type, op, elements.values());
  PG_RETURN_ARRAYTYPE_P(put_together(elements, element));
}

// A token in a text as the token itself.  22P02 unless it has the form of one.
Datum parse_token(const TokenType *type, Datum value) {
  const std::string_view given = view_of(value);
  if (type->format == nullptr) return PointerGetDatum(token_from_text_form(type->type, given));
  if (type->is_integer) return Int64GetDatum(fpe_accept(type->type, fpe_parse_integer(type->type, given)));
  fpe_check(type->type, given);
  return value;
}

// detokenize(text[], regtype) and mask(text[], regtype)
Datum reveal_as(FunctionCallInfo fcinfo, Operation op) {
  const TokenType *type = token_type_argument(PG_GETARG_OID(1));
  if (fpe_array_texts(type)) {
    ArrayType *tokens = PG_GETARG_ARRAYTYPE_P(0);
    fpe_array_check(type, tokens);
    return reveal_texts(type, op, tokens);
  }
  if (is_sealed(type)) return open_all_sealed(type, op, parse_all(type, PG_GETARG_ARRAYTYPE_P(0)), TEXTOID);
  const Elements elements = take_apart(fcinfo);
  for (Datum &value : elements.values()) value = parse_token(type, value);
  disclosure_require(type, op, static_cast<uint32>(elements.count));
  open_all(type, op, elements.values());
  if (type->is_integer && op != Operation::masked)
    for (Datum &value : elements.values()) value = integer_text(value);
  PG_RETURN_ARRAYTYPE_P(put_together(elements, TEXTOID));
}

// tokenize(text[], regtype)
Datum tokenize_as(FunctionCallInfo fcinfo, const TokenType *type) {
  fpe_require_token_input(fcinfo, type);
  if (fpe_array_texts(type)) return tokenize_texts(type, PG_GETARG_ARRAYTYPE_P(0), TEXTOID);
  if (is_sealed(type)) return seal_all_as(type, PG_GETARG_ARRAYTYPE_P(0));
  const Elements elements = take_apart(fcinfo);
  const std::span<Datum> values = elements.values();
  disclosure_tokenize_allowed(type);
  if (type->format == nullptr) {
    vault_all(type, values, false);
    for (Datum &value : values) {
      const auto *token = reinterpret_cast<const bytea *>(DatumGetPointer(value));
      value = CStringGetTextDatum(token_text_form(type->type, token));
    }
  } else {
    if (type->is_integer)
      for (Datum &value : values) value = Int64GetDatum(fpe_parse_integer_value(type, view_of(value)));
    fpe_make_all(type, values);
    if (type->is_integer)
      for (Datum &value : values) value = integer_text(value);
  }
  return charged(type, put_together(elements, TEXTOID), elements.count);
}

}  // namespace
}  // namespace redoubt::pg

// t(b[]) -> t[]
REDOUBT_FUNCTION(redoubt_tokenize_array) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_require(get_element_type(called_token_type(fcinfo, CallSite::result)));
  if (fpe_array_texts(type)) return tokenize_texts(type, PG_GETARG_ARRAYTYPE_P(0), type->type);
  if (is_sealed(type)) return seal_all(type, PG_GETARG_ARRAYTYPE_P(0));
  const Elements elements = take_apart(fcinfo);
  if (type->format == nullptr) {
    vault_all(type, elements.values(), true);
  } else {
    disclosure_tokenize_allowed(type);
    fpe_make_all(type, elements.values());
  }
  return charged(type, put_together(elements, type->type), elements.count);
}

REDOUBT_FUNCTION(redoubt_detokenize_array) { return redoubt::pg::reveal(fcinfo, redoubt::pg::Operation::reveal); }

REDOUBT_FUNCTION(redoubt_mask_array) { return redoubt::pg::reveal(fcinfo, redoubt::pg::Operation::masked); }

// tokenize(text[], regtype) -> text[]
REDOUBT_FUNCTION(redoubt_tokenize_array_as) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_argument(PG_GETARG_OID(1));
  if (type->vaulted)  // as tokenize(text, regtype) does
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("the vaulted token type %s has to be a constant in tokenize()", type->name),
             errhint("redoubt.vault_token(values, type) takes any expression for the type."), errhidestmt(true)));
  return tokenize_as(fcinfo, type);
}

// vault_token(text[], regtype) -> text[]
REDOUBT_FUNCTION(redoubt_vault_token_array) {
  using namespace redoubt::pg;
  const TokenType *type = token_type_argument(PG_GETARG_OID(1));
  if (!type->vaulted)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not a vaulted token type", type->name),
                    errhint("redoubt.tokenize(values, type) takes every type."), errhidestmt(true)));
  return tokenize_as(fcinfo, type);
}

REDOUBT_FUNCTION(redoubt_detokenize_array_as) { return redoubt::pg::reveal_as(fcinfo, redoubt::pg::Operation::reveal); }

REDOUBT_FUNCTION(redoubt_mask_array_as) { return redoubt::pg::reveal_as(fcinfo, redoubt::pg::Operation::masked); }

// as_token_array(anyarray), as_text_array(anyarray): the array as it is (plan/by_token.h).
REDOUBT_FUNCTION(redoubt_same_array) { PG_RETURN_DATUM(PG_GETARG_DATUM(0)); }
