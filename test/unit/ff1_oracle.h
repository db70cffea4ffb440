// ff1_oracle.h - FF1 written down step by step from NIST SP 800-38G, slow, for the tests to compare with.
//
// What it is: Algorithms 1, 3, 6, 7 and 8 on OpenSSL's BIGNUM, one AES block a call, nothing cached.
// What it is not: shipped, or sharing any code with src/core.
// Covered by ff1_test.cpp, which checks it against NIST's samples first.
#ifndef REDOUBT_TEST_FF1_ORACLE_H
#define REDOUBT_TEST_FF1_ORACLE_H

#include <openssl/bn.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

namespace redoubt::test {

using Octets = std::vector<std::uint8_t>;
using Numerals = std::vector<std::uint32_t>;

struct BnDeleter {
  void operator()(BIGNUM *n) const { BN_free(n); }
  void operator()(BN_CTX *c) const { BN_CTX_free(c); }
  void operator()(EVP_CIPHER_CTX *c) const { EVP_CIPHER_CTX_free(c); }
};
using Bn = std::unique_ptr<BIGNUM, BnDeleter>;
using BnContext = std::unique_ptr<BN_CTX, BnDeleter>;

inline void require(bool condition) {
  if (!condition) throw std::runtime_error("OpenSSL failed in the oracle");
}

inline Bn bn(std::uint64_t value = 0) {
  Bn n(BN_new());
  require(n != nullptr && BN_set_word(n.get(), value) == 1);
  return n;
}

inline Bn bn_from_bytes(std::span<const std::uint8_t> big_endian) {
  Bn n(BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), nullptr));
  require(n != nullptr);
  return n;
}

class Ff1Oracle {
 public:
  explicit Ff1Oracle(std::span<const std::uint8_t> key) : cipher_(EVP_CIPHER_CTX_new()), bn_(BN_CTX_new()) {
    const EVP_CIPHER *const kind = key.size() == 16   ? EVP_aes_128_ecb()
                                   : key.size() == 24 ? EVP_aes_192_ecb()
                                                      : EVP_aes_256_ecb();
    require(EVP_EncryptInit_ex(cipher_.get(), kind, nullptr, key.data(), nullptr) == 1);
    require(EVP_CIPHER_CTX_set_padding(cipher_.get(), 0) == 1);
  }

  Numerals encrypt(const Octets &t, const Numerals &x, std::uint32_t radix) { return feistel(t, x, radix, false); }
  Numerals decrypt(const Octets &t, const Numerals &x, std::uint32_t radix) { return feistel(t, x, radix, true); }

 private:
  using Block = std::array<std::uint8_t, 16>;

  Block ciph(const Block &in) {
    Block out;
    int size = 0;
    require(EVP_EncryptUpdate(cipher_.get(), out.data(), &size, in.data(), 16) == 1 && size == 16);
    return out;
  }

  // Algorithm 1: NUM_radix(X).
  Bn num(const Numerals &x, std::uint32_t radix) {
    Bn n = bn();
    for (const std::uint32_t digit : x) require(BN_mul_word(n.get(), radix) == 1 && BN_add_word(n.get(), digit) == 1);
    return n;
  }

  // Algorithm 3: STR^m_radix(x).
  Numerals str(const BIGNUM *x, std::size_t m, std::uint32_t radix) {
    Bn rest(BN_dup(x));
    Numerals out(m);
    for (std::size_t i = 1; i <= m; ++i) out[m - i] = static_cast<std::uint32_t>(BN_div_word(rest.get(), radix));
    require(BN_is_zero(rest.get()));
    return out;
  }

  // Algorithm 6: PRF(X).
  Block prf(const Octets &x) {
    Block y = {};
    for (std::size_t j = 0; j < x.size(); j += 16) {
      for (std::size_t i = 0; i < 16; ++i) y[i] ^= x[j + i];
      y = ciph(y);
    }
    return y;
  }

  Bn power(std::uint32_t radix, std::size_t exponent) {
    Bn result = bn();
    const Bn base = bn(radix), times = bn(exponent);
    require(BN_exp(result.get(), base.get(), times.get(), bn_.get()) == 1);
    return result;
  }

  static void append(Octets &to, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = bytes; i-- > 0;) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }

  // Algorithms 7 and 8 differ in the order of the rounds, in which half feeds the PRF, and in the sign.
  Numerals feistel(const Octets &t, const Numerals &x, std::uint32_t radix, bool decrypting) {
    const std::size_t n = x.size();
    const std::size_t u = n / 2, v = n - u;                             // 1
    Numerals a(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(u));  // 2
    Numerals b_half(x.begin() + static_cast<std::ptrdiff_t>(u), x.end());
    Bn last = power(radix, v);  // 3
    require(BN_sub_word(last.get(), 1) == 1);
    const std::size_t b = (static_cast<std::size_t>(BN_num_bits(last.get())) + 7) / 8;
    const std::size_t d = 4 * ((b + 3) / 4) + 4;  // 4
    Octets p = {1, 2, 1};                         // 5
    append(p, radix, 3);
    p.push_back(10);
    append(p, u % 256, 1);
    append(p, n, 4);
    append(p, t.size(), 4);

    for (std::size_t step = 0; step < 10; ++step) {  // 6
      const std::size_t i = decrypting ? 9 - step : step;
      Octets q = p;  // 6.i
      q.insert(q.end(), t.begin(), t.end());
      while ((q.size() + b + 1) % 16 != 0) q.push_back(0);
      append(q, i, 1);
      Octets half(b);
      require(BN_bn2binpad(num(decrypting ? a : b_half, radix).get(), half.data(), static_cast<int>(b)) >= 0);
      q.insert(q.end(), half.begin(), half.end());
      const Block r = prf(q);        // 6.ii
      Octets s(r.begin(), r.end());  // 6.iii
      for (std::size_t j = 1; s.size() < d; ++j) {
        Block counter = r;
        for (std::size_t k = 0; k < 8; ++k) counter[15 - k] ^= static_cast<std::uint8_t>(j >> (8 * k));
        const Block more = ciph(counter);
        s.insert(s.end(), more.begin(), more.end());
      }
      s.resize(d);
      const Bn y = bn_from_bytes(s);             // 6.iv
      const std::size_t m = i % 2 == 0 ? u : v;  // 6.v
      const Bn modulus = power(radix, m);        // 6.vi
      const Bn old = num(decrypting ? b_half : a, radix);
      Bn c = bn();
      require((decrypting ? BN_mod_sub(c.get(), old.get(), y.get(), modulus.get(), bn_.get())
                          : BN_mod_add(c.get(), old.get(), y.get(), modulus.get(), bn_.get())) == 1);
      Numerals text = str(c.get(), m, radix);  // 6.vii
      if (decrypting) {                        // 6.viii-ix
        b_half = a;
        a = text;
      } else {
        a = b_half;
        b_half = text;
      }
    }
    a.insert(a.end(), b_half.begin(), b_half.end());  // 7
    return a;
  }

  std::unique_ptr<EVP_CIPHER_CTX, BnDeleter> cipher_;
  BnContext bn_;
};

}  // namespace redoubt::test
#endif
