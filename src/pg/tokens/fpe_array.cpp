// fpe_array.cpp - see fpe_array.h.
//
// Invariant: callers have been admitted before anything is decrypted, nothing is encrypted unless
// disclosure_tokenize_allowed() has, and no error message ever holds a part of a value or of a token.
// Covered by sql/arrays.sql and sql/fpe.sql.
#include "pg/base/boundary.h"

#include "core/format_batch.h"
#include "pg/tokens/fpe_array.h"
#include "pg/tokens/fpe_value.h"
#include "pg/keys/keys.h"
#include "pg/tokens/token_value.h"
#include "pg/base/plaintext.h"
#include "pg/base/varlena_array.h"

namespace redoubt::pg {
namespace {

// A view that the next value_checked() does not overwrite.
std::string_view checked_for_long(const TokenType *type, std::string_view value) {
  const std::string_view checked = value_checked(type, value.data(), value.size());
  const bool inside = checked.data() >= value.data() && checked.data() + checked.size() <= value.data() + value.size();
  if (inside) return checked;
  return varlena_text(plaintext_copy({reinterpret_cast<const std::uint8_t *>(checked.data()), checked.size()}));
}

// Adds the result of text `i`, masked or in the server encoding.
void add_result(const TokenType *type, bool masked, FormatBatch &made, std::size_t i, VarlenaArrayMaker &to) {
  const std::size_t size = made.size(i);
  if (!masked && GetDatabaseEncoding() == PG_UTF8) return made.write(i, to.add(size));
  std::string &utf8 = plaintext_buffer(PlaintextStep::result, size);
  utf8.resize(size);
  made.write(i, utf8.data());
  to.add(masked ? varlena_text(fpe_mask(type, utf8)) : fpe_local(utf8));
}

ArrayType *crypt_texts(const TokenType *type, Ff1Direction direction, bool masked, ArrayType *array, Oid element) {
  const bool encrypts = direction == Ff1Direction::encrypt;
  FormatBatch &made = plaintext_batch();
  VarlenaArrayMaker to(array, element);
  for (VarlenaArrayReader from(array); from.left() > 0;) {
    CHECK_FOR_INTERRUPTS();
    std::array<std::string_view, kFormatLanes> in;
    const std::size_t count = std::min(static_cast<std::size_t>(from.left()), kFormatLanes);
    for (std::size_t i = 0; i < count; ++i)
      in[i] = encrypts ? checked_for_long(type, varlena_text(from.next())) : fpe_utf8(varlena_text(from.next()));
    made.crypt(direction, *type->format, *keys_format_cipher(type), std::span(in).first(count));
    for (std::size_t i = 0; i < count; ++i) {
      if (!made.refusal(i).ok()) encrypts ? value_refuse(type, made.refusal(i)) : fpe_corrupt(type);
      add_result(type, masked, made, i, to);
    }
    made.wipe();
  }
  return to.finish();
}

void crypt_integers(const TokenType *type, Ff1Direction direction, std::span<Datum> values) {
  std::array<std::int64_t, kFormatLanes> numbers;
  const std::span<std::int64_t> used = std::span(numbers).first(values.size());
  std::transform(values.begin(), values.end(), used.begin(), [](Datum value) { return DatumGetInt64(value); });
  const Refusal refusal = FormatBatch::crypt(direction, *type->format, *keys_format_cipher(type), used);
  if (!refusal.ok() && direction == Ff1Direction::decrypt) fpe_corrupt(type);
  if (!refusal.ok()) value_refuse(type, refusal);
  std::transform(used.begin(), used.end(), values.begin(), [](std::int64_t number) { return Int64GetDatum(number); });
}

// Calls `work` for one batch after the other.
template <typename Work>
void in_batches(std::span<Datum> values, Work work) {
  while (!values.empty()) {
    CHECK_FOR_INTERRUPTS();
    const std::span<Datum> now = values.first(std::min(values.size(), kFormatLanes));
    work(now);
    values = values.subspan(now.size());
  }
}

// One token, whatever its base.
Datum open_one(const TokenType *type, Operation op, Datum token) {
  CHECK_FOR_INTERRUPTS();
  if (type->is_integer) {
    const int64 number = DatumGetInt64(token);
    return op == Operation::masked ? PointerGetDatum(fpe_open_masked(type, number, true))
                                   : Int64GetDatum(fpe_open(type, number, true));
  }
  const std::string_view view = varlena_text(DatumGetPointer(token));
  return PointerGetDatum(op == Operation::masked ? fpe_open_masked(type, view, true) : fpe_open(type, view, true));
}

}  // namespace

void fpe_array_check(const TokenType *type, ArrayType *texts) {
  for (VarlenaArrayReader from(texts); from.left() > 0;) fpe_check(type->type, varlena_text(from.next()));
}

ArrayType *fpe_array_tokenize(const TokenType *type, ArrayType *values, Oid element) {
  return crypt_texts(type, Ff1Direction::encrypt, false, values, element);
}

ArrayType *fpe_array_open(const TokenType *type, Operation op, ArrayType *tokens, Oid element) {
  return crypt_texts(type, Ff1Direction::decrypt, op == Operation::masked, tokens, element);
}

void fpe_make_all(const TokenType *type, std::span<Datum> values) {
  if (type->vaulted) return fpe_vault_all(type, values);
  in_batches(values, [type](std::span<Datum> now) { crypt_integers(type, Ff1Direction::encrypt, now); });
}

void fpe_open_all(const TokenType *type, Operation op, std::span<Datum> tokens) {
  if (type->vaulted) {
    for (Datum &token : tokens) token = open_one(type, op, token);
    return;
  }
  in_batches(tokens, [type, op](std::span<Datum> now) {
    crypt_integers(type, Ff1Direction::decrypt, now);
    if (op != Operation::masked) return;
    for (Datum &value : now) value = PointerGetDatum(fpe_mask(type, DatumGetInt64(value)));
  });
}

}  // namespace redoubt::pg
