// ff1_feistel.cpp - set-up and rounds of FF1; see ff1_feistel.h.
#include "core/ff1_feistel.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

namespace redoubt {
namespace {

constexpr std::size_t kRounds = 10;
constexpr std::size_t kMaxHalfBytes = kFf1MaxHalfDigits * 2;
constexpr std::size_t kMaxHalfBlocks = kMaxHalfBytes / kAesBlockSize + 1;

// A block as two words in memory order, moved as one: a 16-byte load right after two 8-byte stores
// would wait for both to leave the store buffer, ten times a value.
typedef std::uint64_t Words2 __attribute__((vector_size(16)));

Words2 load(const std::uint8_t *block) noexcept {
  Words2 words;
  std::memcpy(&words, block, sizeof words);
  return words;
}
void store(Words2 words, std::uint8_t *block) noexcept { std::memcpy(block, &words, sizeof words); }

// The block whose big-endian number is x.
Words2 big_endian(std::uint64_t x) noexcept { return Words2{0, ff1_byteswap(x)}; }
Words2 big_endian(Uint128 x) noexcept { return Words2{ff1_byteswap(ff1_high(x)), ff1_byteswap(ff1_low(x))}; }

// The block that begins with `bytes`, less than a block, and is zero behind.  Put together in registers: a load right
// after the stores of a copy would wait for these.
Words2 padded(std::span<const std::uint8_t> bytes) noexcept {
  const std::size_t size = bytes.size();
  const auto word = [&]<typename Word>(Word, std::size_t at) {
    Word read;
    std::memcpy(&read, &bytes[at], sizeof read);
    return std::uint64_t{read};
  };
  if (size > 8) return Words2{word(std::uint64_t{}, 0), word(std::uint64_t{}, size - 8) >> (8 * (16 - size))};
  if (size == 8) return Words2{word(std::uint64_t{}, 0), 0};
  if (size >= 4) return Words2{word(std::uint32_t{}, 0) | word(std::uint32_t{}, size - 4) << (8 * (size - 4)), 0};
  std::uint64_t first = 0;
  for (std::size_t i = size; i-- > 0;) first = first << 8 | bytes[i];
  return Words2{first, 0};
}

// The block that is zero but for the byte at `place`.
Words2 single_byte(std::size_t place, std::size_t value) noexcept {
  return big_endian(Uint128{value} << (8 * (kAesBlockSize - 1 - place)));
}

// Step 6.v: m is u in even rounds, v in odd ones.  Step 6 runs 0..9 to encrypt, 9..0 to decrypt.
std::size_t round_number(Ff1Direction direction, std::size_t step) noexcept {
  return direction == Ff1Direction::encrypt ? step : kRounds - 1 - step;
}

}  // namespace

Ff1Feistel::Width Ff1Feistel::width() const noexcept {
  constexpr std::array<Width, std::variant_size_v<Moduli>> kWidths = {Width::word, Width::word, Width::word,
                                                                      Width::two_words, Width::wide};
  return kWidths[moduli_.index()];
}

// set_moduli computes radix^u and radix^v, b, d and the way halves are held.
[[gnu::cold]] void Ff1Feistel::set_moduli(std::uint32_t radix) {
  Ff1Wide power = {};
  std::array<std::vector<std::uint64_t>, 2> moduli;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t words = ff1_wide_power(power, radix, i == 0 ? u_ : v_);
    moduli[i].assign(power.begin(), power.begin() + static_cast<std::ptrdiff_t>(words));
  }
  // Step 3: b = ceil(ceil(v · log2 radix) / 8), exactly: ceil(log2 x) is the length in bits of x - 1.
  b_ = (ff1_wide_bits_below(moduli[1]) + 7) / 8;
  d_ = 4 * ((b_ + 3) / 4) + 4;  // step 4
  half_words_ = moduli[1].size();

  const auto word = [&](std::size_t i) { return moduli[i][0]; };
  const auto two_words = [&](std::size_t i) { return ff1_join(moduli[i].size() > 1 ? moduli[i][1] : 0, moduli[i][0]); };
  if (d_ == 8 && std::has_single_bit(radix)) {
    moduli_ = Pair<Ff1ModulusBinary>{Ff1ModulusBinary(word(0)), Ff1ModulusBinary(word(1))};
  } else if (d_ == 8) {
    moduli_ = Pair<Ff1ModulusShort>{Ff1ModulusShort(word(0)), Ff1ModulusShort(word(1))};
  } else if (half_words_ == 1) {
    moduli_ = Pair<Ff1Modulus64>{Ff1Modulus64(word(0)), Ff1Modulus64(word(1))};
  } else if (half_words_ == 2) {
    moduli_ = Pair<Ff1Modulus128>{Ff1Modulus128(two_words(0), d_), Ff1Modulus128(two_words(1), d_)};
  } else {
    moduli_ = std::vector<Ff1ModulusWide>{Ff1ModulusWide(moduli[0]), Ff1ModulusWide(moduli[1])};
  }
}

bool Ff1Feistel::prepare(AesBlocks &aes, std::uint32_t radix, std::size_t length, std::size_t tweak_bytes) {
  aes_ = &aes;
  tweak_bytes_ = tweak_bytes;
  absorbed_ = 0;
  u_ = length / 2;
  v_ = length - u_;
  set_moduli(radix);

  // Step 6.i: Q = T || 0^((-t-b-1) mod 16) || [i] || [NUM(B)]^b.
  const std::size_t q_bytes = (tweak_bytes + b_ + 1 + kAesBlockSize - 1) / kAesBlockSize * kAesBlockSize;
  const std::size_t mark = q_bytes - b_ - 1;
  constant_blocks_ = mark / kAesBlockSize;
  mark_ = mark % kAesBlockSize;

  // Step 5: P = [1] || [2] || [1] || [radix]^3 || [10] || [u mod 256] || [n]^4 || [t]^4.
  const auto byte = [](std::size_t x, unsigned place) { return static_cast<std::uint8_t>(x >> (8 * place)); };
  const std::array<std::uint8_t, kAesBlockSize> p = {
      1,
      2,
      1,
      byte(radix, 2),
      byte(radix, 1),
      byte(radix, 0),
      kRounds,
      byte(u_, 0),
      byte(length, 3),
      byte(length, 2),
      byte(length, 1),
      byte(length, 0),
      byte(tweak_bytes, 3),
      byte(tweak_bytes, 2),
      byte(tweak_bytes, 1),
      byte(tweak_bytes, 0),
  };
  return aes_->encrypt(p.data(), state_.span().data(), 1);
}

bool Ff1Feistel::absorb(std::span<const std::uint8_t> prefix) noexcept {
  std::uint8_t *const state = state_.span().data();
  while (absorbed_ + kAesBlockSize <= prefix.size() && absorbed_ < constant_blocks_ * kAesBlockSize) {
    store(load(state) ^ load(&prefix[absorbed_]), state);
    if (!aes_->encrypt(state, state, 1)) return false;
    absorbed_ += kAesBlockSize;
  }
  return true;
}

bool Ff1Feistel::set_lanes(std::span<const std::uint8_t *const> tweaks, std::span<Ff1Lane> lanes) const noexcept {
  for (Ff1Lane &lane : lanes) std::copy_n(state_.span().begin(), kAesBlockSize, lane.block.begin());
  for (std::size_t at = absorbed_;; at += kAesBlockSize) {
    const std::size_t part = std::min(kAesBlockSize, tweak_bytes_ - std::min(at, tweak_bytes_));
    for (std::size_t i = 0; part > 0 && i < lanes.size(); ++i) {
      std::array<std::uint8_t, kAesBlockSize> padded = {};
      std::memcpy(padded.data(), tweaks[i] + at, part);
      std::uint8_t *const block = lanes[i].block.data();
      store(load(block) ^ load(padded.data()), block);
    }
    if (at == constant_blocks_ * kAesBlockSize) return true;
    if (!aes_->encrypt(lanes[0].block.data(), lanes[0].block.data(), lanes.size())) return false;
  }
}

bool Ff1Feistel::set_rest(std::span<const std::uint8_t> rest, Ff1Lane &lane) const noexcept {
  if (absorbed_ != constant_blocks_ * kAesBlockSize || absorbed_ + rest.size() != tweak_bytes_) return false;
  store(load(state_.span().data()) ^ padded(rest), lane.block.data());
  return true;
}

// In each round `source` is NUM(B) when encrypting and NUM(A) when decrypting, `target` the other half.
// One value alone (kMost = 1) is done without the loops.
template <Ff1Direction kDirection, std::size_t kMost, typename Modulus>
bool Ff1Feistel::run_rounds(const Pair<Modulus> &moduli, const Ff1Lane *lanes, std::size_t lane_step,
                            typename Modulus::Half *left, typename Modulus::Half *right,
                            std::size_t values) const noexcept {
  using Half = typename Modulus::Half;
  constexpr bool kMayBeLong = std::is_same_v<Half, Uint128>;
  const std::size_t count = kMost == 1 ? 1 : values;
  alignas(64) std::array<std::uint8_t, kMost * kAesBlockSize> in;
  alignas(64) std::array<std::uint8_t, kMost * kAesBlockSize> r;
  std::array<std::uint8_t, kMayBeLong ? kMost * kAesBlockSize : 1> s2;
  constexpr bool kEncrypting = kDirection == Ff1Direction::encrypt;
  const bool two_blocks = kMayBeLong && b_ == kAesBlockSize;  // the half fills a block behind the round number's
  const bool second_output = kMayBeLong && d_ > kAesBlockSize;
  Half *source = kEncrypting ? right : left;
  Half *target = kEncrypting ? left : right;
  const Words2 one = single_byte(mark_, 1);
  Words2 mark = single_byte(mark_, round_number(kDirection, 0));  // the round number in its place

  for (std::size_t step = 0; step < kRounds; ++step) {
    const std::size_t round = round_number(kDirection, step);
    // A copy is what a loop keeps in registers; for one value, it would be made ten times for nothing.
    const std::conditional_t<kMost == 1, const Modulus &, const Modulus> modulus = moduli[round % 2];

    // Step 6.i-ii: the CBC-MAC of Q's last blocks.
    if (two_blocks) {
      for (std::size_t i = 0; i < count; ++i) store(load(lanes[i * lane_step].block.data()) ^ mark, &in[16 * i]);
      if (!aes_->encrypt(in.data(), r.data(), count)) return false;
      for (std::size_t i = 0; i < count; ++i) store(load(&r[16 * i]) ^ big_endian(source[i]), &in[16 * i]);
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        store(load(lanes[i * lane_step].block.data()) ^ mark ^ big_endian(source[i]), &in[16 * i]);
      }
    }
    if (!aes_->encrypt(in.data(), r.data(), count)) return false;

    // Step 6.iii: S is the first d bytes of R || CIPH(R xor [1]^16).
    if (second_output) {
      for (std::size_t i = 0; i < count; ++i) store(load(&r[16 * i]) ^ single_byte(15, 1), &in[16 * i]);
      if (!aes_->encrypt(in.data(), s2.data(), count)) return false;
    }

    // Steps 6.iv-vi: c = NUM(A) + y to encrypt, NUM(B) - y to decrypt.
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t *const more = &s2[kMayBeLong ? 16 * i : 0];
      target[i] =
          kEncrypting ? modulus.add(target[i], &r[16 * i], more) : modulus.subtract(target[i], &r[16 * i], more);
    }
    std::swap(source, target);  // steps 6.viii-ix; ten swaps leave each half in its place
    mark = kEncrypting ? mark + one : mark - one;
  }
  return true;
}

template <typename Modulus>
bool Ff1Feistel::run_pair(Ff1Direction direction, const Ff1Lane *lanes, std::size_t lane_step,
                          typename Modulus::Half *left, typename Modulus::Half *right,
                          std::size_t count) const noexcept {
  const auto *moduli = std::get_if<Pair<Modulus>>(&moduli_);
  if (moduli == nullptr) return false;  // another Half than that of width()
  const auto run_most = [&]<std::size_t kMost>(std::integral_constant<std::size_t, kMost>) {
    return direction == Ff1Direction::encrypt
               ? run_rounds<Ff1Direction::encrypt, kMost>(*moduli, lanes, lane_step, left, right, count)
               : run_rounds<Ff1Direction::decrypt, kMost>(*moduli, lanes, lane_step, left, right, count);
  };
  return count == 1 ? run_most(std::integral_constant<std::size_t, 1>())
                    : run_most(std::integral_constant<std::size_t, kFf1Lanes>());
}

template <>
bool Ff1Feistel::run(Ff1Direction direction, const Ff1Lane *lanes, std::size_t lane_step, std::uint64_t *left,
                     std::uint64_t *right, std::size_t count) const noexcept {
  if (d_ != 8) return run_pair<Ff1Modulus64>(direction, lanes, lane_step, left, right, count);
  return std::holds_alternative<Pair<Ff1ModulusBinary>>(moduli_)
             ? run_pair<Ff1ModulusBinary>(direction, lanes, lane_step, left, right, count)
             : run_pair<Ff1ModulusShort>(direction, lanes, lane_step, left, right, count);
}

template <>
bool Ff1Feistel::run(Ff1Direction direction, const Ff1Lane *lanes, std::size_t lane_step, Uint128 *left, Uint128 *right,
                     std::size_t count) const noexcept {
  return run_pair<Ff1Modulus128>(direction, lanes, lane_step, left, right, count);
}

bool Ff1Feistel::run_wide(Ff1Direction direction, const Ff1Lane &lane, std::uint64_t *left,
                          std::uint64_t *right) const noexcept {
  const auto *moduli = std::get_if<std::vector<Ff1ModulusWide>>(&moduli_);
  if (moduli == nullptr) return false;
  const bool encrypting = direction == Ff1Direction::encrypt;
  std::uint64_t *source = encrypting ? right : left;
  std::uint64_t *target = encrypting ? left : right;
  const std::size_t q_blocks = b_ / kAesBlockSize + 1;
  const std::size_t s_blocks = (d_ + kAesBlockSize - 1) / kAesBlockSize;
  std::array<std::uint8_t, kMaxHalfBlocks * kAesBlockSize> in;
  std::array<std::uint8_t, kMaxHalfBlocks * kAesBlockSize> s;

  for (std::size_t step = 0; step < kRounds; ++step) {
    const std::size_t round = round_number(direction, step);
    const Ff1ModulusWide &modulus = (*moduli)[round % 2];

    std::fill_n(in.begin(), kAesBlockSize, std::uint8_t{0});
    in[mark_] = static_cast<std::uint8_t>(round);
    ff1_wide_to_bytes(source, std::span(in).subspan(mark_ + 1, b_));
    Words2 r = load(lane.block.data());
    for (std::size_t i = 0; i < q_blocks; ++i) {
      store(r ^ load(&in[16 * i]), &in[16 * i]);
      if (!aes_->encrypt(&in[16 * i], s.data(), 1)) return false;
      r = load(s.data());
    }

    // S = R || CIPH(R xor [1]^16) || CIPH(R xor [2]^16) ...
    for (std::size_t j = 1; j < s_blocks; ++j) store(r ^ big_endian(Uint128{j}), &in[16 * j]);
    if (!aes_->encrypt(&in[16], &s[16], s_blocks - 1)) return false;
    const auto y = std::span<const std::uint8_t>(s).first(d_);
    encrypting ? modulus.add(target, y) : modulus.subtract(target, y);
    std::swap(source, target);
  }
  return true;
}

}  // namespace redoubt
