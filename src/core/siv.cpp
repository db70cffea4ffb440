// siv.cpp - AES-SIV of RFC 5297: AES-CMAC (RFC 4493), S2V and CTR on AesBlocks.
//
// What it is: the mode, with every step named after its section of the standard.
// What it is not: the block cipher (aes.cpp) or the token format (token.cpp).
// Invariant: see siv.h.  Time depends on lengths alone, never on key or data.
// Covered by test/unit/siv_test.cpp.
#include "core/siv.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace redoubt {

namespace {

using Block = std::span<std::uint8_t, kSivSize>;
using ConstBlock = std::span<const std::uint8_t, kSivSize>;

// Blocks enciphered by one call of the block cipher: counters, and those of a MAC.
constexpr std::size_t kCounterBlocks = 64;
constexpr std::size_t kMacBlocks = 64;

// Eight bytes as a big-endian number, and back; written so that the compiler makes each one move.
std::uint64_t swap_to_be(std::uint64_t value) noexcept {
  if constexpr (std::endian::native == std::endian::little) return __builtin_bswap64(value);
  return value;
}

std::uint64_t load_be64(const std::uint8_t *in) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, in, sizeof value);
  return swap_to_be(value);
}

void store_be64(std::uint64_t value, std::uint8_t *out) noexcept {
  value = swap_to_be(value);
  std::memcpy(out, &value, sizeof value);
}

// xor_block writes a xor b, one block; `out` may be either of them.
void xor_block(std::uint8_t *out, const std::uint8_t *a, const std::uint8_t *b) noexcept {
  std::array<std::uint64_t, 2> x;
  std::array<std::uint64_t, 2> y;
  std::memcpy(x.data(), a, kSivSize);
  std::memcpy(y.data(), b, kSivSize);
  x[0] ^= y[0];
  x[1] ^= y[1];
  std::memcpy(out, x.data(), kSivSize);
}

void xor_block(std::uint8_t *target, const std::uint8_t *source) noexcept { xor_block(target, target, source); }

// xor_to is xor_block of any size.
void xor_to(std::uint8_t *out, const std::uint8_t *a, const std::uint8_t *b, std::size_t size) noexcept {
  if (size < kSivSize) {
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(a[i] ^ b[i]);
    return;
  }
  // The last block may overlap the one before it, so it is read before anything is written.
  std::array<std::uint8_t, kSivSize> last;
  xor_block(last.data(), a + size - kSivSize, b + size - kSivSize);
  for (std::size_t i = 0; i + kSivSize < size; i += kSivSize) xor_block(out + i, a + i, b + i);
  std::memcpy(out + size - kSivSize, last.data(), kSivSize);
}

// copy_to spares a value of one or two blocks what the compiler makes of a copy of unknown size.
void copy_to(std::uint8_t *out, std::span<const std::uint8_t> in) noexcept {
  if (in.size() >= kSivSize && in.size() <= 2 * kSivSize) {
    std::memcpy(out, in.data(), kSivSize);
    std::memcpy(out + in.size() - kSivSize, in.data() + in.size() - kSivSize, kSivSize);
  } else if (!in.empty()) {
    std::memcpy(out, in.data(), in.size());
  }
}

// dbl (section 2.3): multiplication by x in GF(2^128), without a branch on the secret bit.
void dbl(ConstBlock in, Block out) noexcept {
  const std::uint64_t high = load_be64(in.data());
  const std::uint64_t low = load_be64(in.data() + 8);
  store_be64((high << 1U) | (low >> 63U), out.data());
  store_be64((low << 1U) ^ (0x87U & (0U - (high >> 63U))), out.data() + 8);
}

}  // namespace

Result<Siv> Siv::make(Bytes k1, Bytes k2) {
  if (k1.size() != k2.size()) return Status::invalid_argument;
  Result<AesChain> mac = AesChain::make(k1);
  if (!mac.ok()) return mac.status();
  Result<AesBlocks> ctr = AesBlocks::make(k2);
  if (!ctr.ok()) return ctr.status();

  Siv siv;
  siv.mac_ = *std::move(mac);
  siv.ctr_ = *std::move(ctr);

  // RFC 4493 section 2.3, Generate_Subkey: L = AES(0), K1 = dbl(L), K2 = dbl(K1).
  SecretBytes<kSivSize> l;
  if (!siv.mac_.encrypt(l.span().data(), 1, true)) return Status::crypto_failure;
  dbl(l.span(), siv.whole_mask_.span());
  dbl(siv.whole_mask_.span(), siv.short_mask_.span());

  constexpr std::array<std::uint8_t, kSivSize> kZero{};
  if (!siv.cmac(kZero, nullptr, siv.zero_mac_.span())) return Status::crypto_failure;
  return siv;
}

// cmac is AES-CMAC (RFC 4493 section 2.4) of a message; with `xorend`, a block, of the message xorend the block, which
// has 16 bytes at least.
bool Siv::cmac(Bytes message, const std::uint8_t *xorend, Block out) noexcept {
  std::array<std::uint8_t, kMacBlocks * kSivSize> work;
  bool begins = true;
  std::size_t used = 0;
  while (message.size() > work.size()) {  // leaves more than the two blocks that xorend may change
    used = (kMacBlocks - 2) * kSivSize;
    std::memcpy(work.data(), message.data(), used);
    if (!mac_.encrypt(work.data(), used / kSivSize, std::exchange(begins, false))) {
      OPENSSL_cleanse(work.data(), used);
      return false;
    }
    message = message.subspan(used);
  }
  // The last block is what is left, or padded: a one bit, then zeros.
  const bool whole = !message.empty() && message.size() % kSivSize == 0;
  const std::size_t size = whole ? message.size() : (message.size() / kSivSize + 1) * kSivSize;
  std::uint8_t *const last = work.data() + size - kSivSize;
  std::memset(last, 0, kSivSize);
  copy_to(work.data(), message);
  if (xorend != nullptr) xor_block(work.data() + message.size() - kSivSize, xorend);
  if (!whole) work[message.size()] = 0x80U;
  xor_block(last, (whole ? whole_mask_ : short_mask_).span().data());
  const bool done = mac_.encrypt(work.data(), size / kSivSize, begins);
  std::memcpy(out.data(), last, kSivSize);
  OPENSSL_cleanse(work.data(), std::max(used, size));
  return done;
}

Result<SivAd> Siv::absorb(Components ad) noexcept {
  if (ad.size() > kSivMaxComponents) return Status::invalid_argument;
  SivAd state;
  std::copy(zero_mac_.span().begin(), zero_mac_.span().end(), state.d.span().begin());
  for (const Bytes component : ad) {
    Result<SivAd> next = absorb(state, component);
    if (!next.ok()) return next.status();
    state = *std::move(next);
  }
  return state;
}

// The step of S2V's loop (section 2.4): D = dbl(D) xor AES-CMAC(K1, Si).
Result<SivAd> Siv::absorb(const SivAd &ad, Bytes component) noexcept {
  SivAd next;
  SecretBytes<kSivSize> mac;
  dbl(ad.d.span(), next.d.span());
  if (!cmac(component, nullptr, mac.span())) return Status::crypto_failure;
  xor_block(next.d.span().data(), mac.span().data());
  return next;
}

// s2v_last is the end of S2V (section 2.4), where the plaintext is the last string Sn.
bool Siv::s2v_last(const SivAd &ad, Bytes plaintext, Block v) noexcept {
  if (plaintext.size() >= kSivSize) return cmac(plaintext, ad.d.span().data(), v);  // T = Sn xorend D
  SecretBytes<kSivSize> t;                                                          // T = dbl(D) xor pad(Sn)
  std::uint8_t *const bytes = t.span().data();
  dbl(ad.d.span(), t.span());
  xor_to(bytes, bytes, plaintext.data(), plaintext.size());
  bytes[plaintext.size()] ^= 0x80U;
  return cmac(t.span(), nullptr, v);
}

// ctr is section 2.5: the key stream of Q = V with bits 31 and 63 cleared, a 128-bit counter.
bool Siv::ctr(ConstBlock v, Bytes in, std::uint8_t *out) noexcept {
  std::uint64_t high = load_be64(v.data());
  std::uint64_t low = load_be64(v.data() + 8) & 0x7fffffff7fffffffU;
  std::array<std::uint8_t, kCounterBlocks * kAesBlockSize> stream;
  std::size_t used = 0;
  bool done = true;
  while (done && !in.empty()) {
    const std::size_t size = std::min(in.size(), stream.size());
    const std::size_t blocks = (size + kAesBlockSize - 1) / kAesBlockSize;
    for (std::size_t i = 0; i < blocks; ++i) {
      store_be64(high, stream.data() + i * kAesBlockSize);
      store_be64(low, stream.data() + i * kAesBlockSize + 8);
      if (++low == 0) ++high;
    }
    used = std::max(used, blocks * kAesBlockSize);
    done = ctr_.encrypt(stream.data(), stream.data(), blocks);
    if (done) {
      xor_to(out, in.data(), stream.data(), size);
      in = in.subspan(size);
      out += size;
    }
  }
  OPENSSL_cleanse(stream.data(), used);
  return done;
}

Status Siv::fingerprint(const SivAd &ad, Bytes plaintext, Block v) noexcept {
  if (s2v_last(ad, plaintext, v)) return Status::ok;
  OPENSSL_cleanse(v.data(), v.size());
  return Status::crypto_failure;
}

Status Siv::seal(const SivAd &ad, Bytes plaintext, std::span<std::uint8_t> out) noexcept {
  if (out.size() < kSivSize || out.size() - kSivSize != plaintext.size()) {
    OPENSSL_cleanse(out.data(), out.size());
    return Status::invalid_argument;
  }
  const Block v = out.first<kSivSize>();
  if (s2v_last(ad, plaintext, v) && ctr(v, plaintext, out.data() + kSivSize)) return Status::ok;
  OPENSSL_cleanse(out.data(), out.size());
  return Status::crypto_failure;
}

Status Siv::open(const SivAd &ad, ConstBlock v, Bytes ciphertext, std::span<std::uint8_t> out) noexcept {
  Status status = Status::invalid_argument;
  if (out.size() == ciphertext.size()) {
    // SIV authenticates the plaintext, so it must be decrypted before it can be judged.
    std::array<std::uint8_t, kSivSize> expected;
    if (!ctr(v, ciphertext, out.data()) || !s2v_last(ad, out, expected)) {
      status = Status::crypto_failure;
    } else {
      status = secret_equal(expected, v) ? Status::ok : Status::corrupt;
    }
    // For a forged token this is the V that would have made it valid.
    OPENSSL_cleanse(expected.data(), expected.size());
  }
  if (status != Status::ok) OPENSSL_cleanse(out.data(), out.size());
  return status;
}

Status Siv::open(const SivAd &ad, Bytes sealed, std::span<std::uint8_t> out) noexcept {
  if (sealed.size() < kSivSize) {
    OPENSSL_cleanse(out.data(), out.size());
    return Status::malformed;
  }
  return open(ad, sealed.first<kSivSize>(), sealed.subspan(kSivSize), out);
}

Status Siv::seal(Components ad, Bytes plaintext, std::span<std::uint8_t> out) noexcept {
  const Result<SivAd> state = absorb(ad);
  if (state.ok()) return seal(*state, plaintext, out);
  OPENSSL_cleanse(out.data(), out.size());
  return state.status();
}

Status Siv::open(Components ad, Bytes sealed, std::span<std::uint8_t> out) noexcept {
  const Result<SivAd> state = absorb(ad);
  if (state.ok()) return open(*state, sealed, out);
  OPENSSL_cleanse(out.data(), out.size());
  return state.status();
}

}  // namespace redoubt
