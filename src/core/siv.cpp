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
static_assert(std::endian::native == std::endian::little);
std::uint64_t swap_to_be(std::uint64_t value) noexcept { return __builtin_bswap64(value); }

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

// A block as two words in memory order.  It is moved as one: a 16-byte load right after two 8-byte stores, or after
// stores that overlap, would wait for these to leave the store buffer.
typedef std::uint64_t Words2 __attribute__((vector_size(16)));
__extension__ typedef unsigned __int128 Uint128;

Words2 load_words(const std::uint8_t *block) noexcept {
  Words2 words;
  std::memcpy(&words, block, sizeof words);
  return words;
}
void store_words(Words2 words, std::uint8_t *block) noexcept { std::memcpy(block, &words, sizeof words); }

// Bytes are moved by shifts of the number whose least significant byte is the first of the block.
Uint128 number_of(Words2 words) noexcept { return Uint128{words[1]} << 64 | words[0]; }
Words2 words_of(Uint128 x) noexcept {
  return Words2{static_cast<std::uint64_t>(x), static_cast<std::uint64_t>(x >> 64)};
}
// Each byte `bytes` places later or earlier, by up to 16, and zeros in its place.
Words2 later(Words2 block, std::size_t bytes) noexcept {
  return bytes < kSivSize ? words_of(number_of(block) << (8 * bytes)) : Words2{};
}
Words2 earlier(Words2 block, std::size_t bytes) noexcept {
  return bytes < kSivSize ? words_of(number_of(block) >> (8 * bytes)) : Words2{};
}

// The first `bytes` of a block of ones, up to 16, and the byte 0x80 behind as many zeros.
constexpr std::array<std::uint8_t, 2 *kSivSize> kOnes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr std::array<std::uint8_t, 2 *kSivSize> kOneBit = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80};
Words2 ones(std::size_t bytes) noexcept { return load_words(kOnes.data() + kSivSize - bytes); }
Words2 one_bit_behind(std::size_t bytes) noexcept { return load_words(kOneBit.data() + kSivSize - bytes); }

// dbl of a block in registers.
Words2 doubled(Words2 block) noexcept {
  const std::uint64_t high = swap_to_be(block[0]);
  const std::uint64_t low = swap_to_be(block[1]);
  return Words2{swap_to_be((high << 1U) | (low >> 63U)), swap_to_be((low << 1U) ^ (0x87U & (0U - (high >> 63U))))};
}

// barrier has the compiler believe that somebody reads what was written there, such as zeros.
void barrier(void *written) noexcept { __asm__ __volatile__("" : : "r"(written) : "memory"); }

// wipe_blocks is OPENSSL_cleanse of a few blocks on the stack, without its call.
void wipe_blocks(std::uint8_t *blocks, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) store_words(Words2{}, blocks + i * kSivSize);
  barrier(blocks);
}

}  // namespace

// Short is a text of at most kShort bytes, block by block; what is behind it in the last block is zero.  End is the
// type of that block's number: std::size_t, or one that has the number itself, so that loops over it are none.
template <typename End>
struct Siv::Short {
  std::array<Words2, kShort / kSivSize> block;
  std::size_t size;
  End end;
  std::size_t last;  // bytes of the text in the last block: 1 to 16, or none of an empty text

  Short(Bytes text, End number) noexcept : size(text.size()), end(number), last(size - end * kSivSize) {
    if (end == 0 && last < kSivSize) {
      block[0] = less_than_a_block(text);
      return;
    }
    for (std::size_t i = 0; i < end; ++i) block[i] = load_words(text.data() + i * kSivSize);
    block[end] = earlier(load_words(text.data() + size - kSivSize), kSivSize - last);
  }
  Short(const Short &) = delete;
  Short &operator=(const Short &) = delete;
  ~Short() {
    for (std::size_t i = 0; i <= end; ++i) block[i] = Words2{};
    barrier(this);
  }

  void write(std::uint8_t *out) const noexcept {
    if (end == 0 && last < kSivSize) return write_less_than_a_block(out);
    for (std::size_t i = 0; i < end; ++i) store_words(block[i], out + i * kSivSize);
    const Words2 before = end > 0 ? earlier(block[end - 1], last) : Words2{};
    store_words(before | later(block[end], kSivSize - last), out + size - kSivSize);
  }

 private:
  static Words2 less_than_a_block(Bytes text) noexcept {
    const std::size_t size = text.size();
    const auto word = [&]<typename Word>(Word, std::size_t at) {
      Word read;
      std::memcpy(&read, text.data() + at, sizeof read);
      return std::uint64_t{read};
    };
    if (size > 8) return Words2{word(std::uint64_t{}, 0), word(std::uint64_t{}, size - 8) >> (8 * (kSivSize - size))};
    if (size >= 4) return Words2{word(std::uint32_t{}, size - 4) << (8 * (size - 4)) | word(std::uint32_t{}, 0), 0};
    std::uint64_t first = 0;
    for (std::size_t i = size; i-- > 0;) first = first << 8 | text[i];
    return Words2{first, 0};
  }

  void write_less_than_a_block(std::uint8_t *out) const noexcept {
    const auto put = [out](auto part, std::size_t at) { std::memcpy(out + at, &part, sizeof part); };
    const std::uint64_t first = block[0][0];
    if (size >= 8) {
      put(first, 0);
      put(earlier(block[0], size - 8)[0], size - 8);
    } else if (size >= 4) {
      put(static_cast<std::uint32_t>(first), 0);
      put(static_cast<std::uint32_t>(first >> (8 * (size - 4))), size - 4);
    } else {
      for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(first >> (8 * i));
    }
  }
};

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
  if (component.size() == kSivSize) {  // the fingerprint of a value that was typed in another form
    std::array<std::uint8_t, kSivSize> work;
    store_words(load_words(component.data()) ^ load_words(whole_mask_.span().data()), work.data());
    const bool done = mac_.encrypt(work.data(), 1, true);
    store_words(doubled(load_words(ad.d.span().data())) ^ load_words(work.data()), next.d.span().data());
    wipe_blocks(work.data(), 1);
    if (!done) return Status::crypto_failure;
    return next;
  }
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

// The number of the last block of a short text.
std::size_t end_of(std::size_t size) noexcept { return size == 0 ? 0 : (size - 1) / kSivSize; }

// s2v_last and ctr of a short text: blocks are moved whole, so that none waits for one that is being written.
template <typename End>
[[gnu::always_inline]] inline bool Siv::s2v_short(const SivAd &ad, const Short<End> &text, Block v) noexcept {
  std::array<std::uint8_t, kShort> work;
  const End end = text.end;
  const Words2 d = load_words(ad.d.span().data());
  Words2 last = text.block[end];
  if (text.size < kSivSize) {  // T = dbl(D) xor pad(Sn), which is whole
    last ^= doubled(d) ^ one_bit_behind(text.last) ^ load_words(whole_mask_.span().data());
  } else {  // T = Sn xorend D, whose last block is padded where it is not whole
    for (std::size_t i = 0; i + 1 < end; ++i) store_words(text.block[i], work.data() + i * kSivSize);
    if (end > 0) store_words(text.block[end - 1] ^ later(d, text.last), work.data() + (end - 1) * kSivSize);
    last ^= earlier(d, kSivSize - text.last) ^ one_bit_behind(text.last);
    last ^= load_words((text.last == kSivSize ? whole_mask_ : short_mask_).span().data());
  }
  store_words(last, work.data() + end * kSivSize);
  const bool done = mac_.encrypt(work.data(), end + 1, true);
  store_words(load_words(work.data() + end * kSivSize), v.data());
  wipe_blocks(work.data(), end + 1);
  return done;
}

template <typename End>
[[gnu::always_inline]] inline bool Siv::ctr_short(ConstBlock v, Short<End> &text) noexcept {
  std::array<std::uint8_t, kShort> stream;
  constexpr std::uint64_t kCleared = 0xffffff7f'ffffff7f;  // of a counter as it lies in memory: bits 31 and 63
  const Words2 q = load_words(v.data()) & Words2{~std::uint64_t{0}, kCleared};
  store_words(q, stream.data());
  // Bit 63 is clear, so nothing is carried on from the lower half.
  for (std::size_t i = 1; i <= text.end; ++i)
    store_words(Words2{q[0], swap_to_be(swap_to_be(q[1]) + i)}, stream.data() + i * kSivSize);
  const bool done = ctr_.encrypt(stream.data(), stream.data(), text.end + 1);
  for (std::size_t i = 0; i < text.end; ++i) text.block[i] ^= load_words(stream.data() + i * kSivSize);
  text.block[text.end] ^= load_words(stream.data() + text.end * kSivSize) & ones(text.last);
  wipe_blocks(stream.data(), text.end + 1);
  return done;
}

Status Siv::fingerprint(const SivAd &ad, Bytes plaintext, Block v) noexcept {
  const std::size_t size = plaintext.size();
  const bool done = size > kShort ? s2v_last(ad, plaintext, v) : s2v_short(ad, Short(plaintext, end_of(size)), v);
  if (done) return Status::ok;
  OPENSSL_cleanse(v.data(), v.size());
  return Status::crypto_failure;
}

Status Siv::seal(const SivAd &ad, Bytes plaintext, std::span<std::uint8_t> out) noexcept {
  if (out.size() < kSivSize || out.size() - kSivSize != plaintext.size()) {
    OPENSSL_cleanse(out.data(), out.size());
    return Status::invalid_argument;
  }
  const Block v = out.first<kSivSize>();
  if (plaintext.size() <= kShort) {
    Short text(plaintext, end_of(plaintext.size()));
    if (s2v_short(ad, text, v) && ctr_short(v, text)) {
      text.write(out.data() + kSivSize);
      return Status::ok;
    }
  } else if (s2v_last(ad, plaintext, v) && ctr(v, plaintext, out.data() + kSivSize)) {
    return Status::ok;
  }
  OPENSSL_cleanse(out.data(), out.size());
  return Status::crypto_failure;
}

Status Siv::open(const SivAd &ad, ConstBlock v, Bytes ciphertext, std::span<std::uint8_t> out) noexcept {
  Status status = Status::invalid_argument;
  if (out.size() == ciphertext.size()) {
    // SIV authenticates the plaintext, so it must be decrypted before it can be judged.
    std::array<std::uint8_t, kSivSize> expected;
    const auto judge = [&](bool done) {
      return !done ? Status::crypto_failure : secret_equal(expected, v) ? Status::ok : Status::corrupt;
    };
    const auto open_short = [&](auto end) {
      Short text(ciphertext, end);
      const Status judged = judge(ctr_short(v, text) && s2v_short(ad, text, expected));
      if (judged == Status::ok) text.write(out.data());
      return judged;
    };
    if (ciphertext.size() <= kShort) {
      const std::size_t end = end_of(ciphertext.size());
      status = end == 1 ? open_short(std::integral_constant<std::size_t, 1>()) : open_short(end);  // most have two
    } else {
      status = judge(ctr(v, ciphertext, out.data()) && s2v_last(ad, out, expected));
    }
    // For a forged token this is the V that would have made it valid.
    wipe_blocks(expected.data(), 1);
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
