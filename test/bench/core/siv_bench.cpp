// siv_bench.cpp - AES-256-SIV of one value, against OpenSSL's own AES-256-SIV in the same run.
//
// One thread, one value a step, a fixed 16-byte class id as associated data, as tokens are made.
// 25 bytes is the length of an e-mail address.  The bound to meet is 250 ns for Seal/25.
// OpenSSL's SIV has no way to start a new message but to set the key again.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/siv.h"
#include "core/token.h"

namespace {

using Octets = std::vector<std::uint8_t>;

const Octets kK1(32, 0x11);
const Octets kK2(32, 0x22);
const Octets kClassId(16, 0x33);

struct Fixture {
  redoubt::Siv siv;
  redoubt::SivAd ad;

  Fixture() {
    redoubt::Result<redoubt::Siv> made = redoubt::Siv::make(kK1, kK2);
    const std::array<std::span<const std::uint8_t>, 1> components{kClassId};
    redoubt::Result<redoubt::SivAd> absorbed = made->absorb(components);
    siv = *std::move(made);
    ad = *std::move(absorbed);
  }
};

void Seal(benchmark::State &state) {
  Fixture fixture;
  Octets value(static_cast<std::size_t>(state.range(0)), 0x41);
  Octets sealed(redoubt::kSivSize + value.size());
  for (auto _ : state) {
    value[0]++;
    if (fixture.siv.seal(fixture.ad, value, sealed) != redoubt::Status::ok) state.SkipWithError("seal");
    benchmark::DoNotOptimize(sealed.data());
  }
}

void Open(benchmark::State &state) {
  Fixture fixture;
  Octets value(static_cast<std::size_t>(state.range(0)), 0x41);
  Octets sealed(redoubt::kSivSize + value.size());
  if (fixture.siv.seal(fixture.ad, value, sealed) != redoubt::Status::ok) state.SkipWithError("seal");
  for (auto _ : state) {
    if (fixture.siv.open(fixture.ad, sealed, value) != redoubt::Status::ok) state.SkipWithError("open");
    benchmark::DoNotOptimize(value.data());
  }
}

void Fingerprint(benchmark::State &state) {
  Fixture fixture;
  Octets value(static_cast<std::size_t>(state.range(0)), 0x41);
  std::array<std::uint8_t, redoubt::kSivSize> v{};
  for (auto _ : state) {
    value[0]++;
    if (fixture.siv.fingerprint(fixture.ad, value, v) != redoubt::Status::ok) state.SkipWithError("fingerprint");
    benchmark::DoNotOptimize(v.data());
  }
}

// A token as a column holds it, from parsing to the value.
void TokenOpen(benchmark::State &state) {
  redoubt::Result<redoubt::TokenSealer> sealer = redoubt::TokenSealer::make(kK1, kK2, kClassId, 1);
  Octets value(static_cast<std::size_t>(state.range(0)), 0x41);
  Octets token(redoubt::TokenSealer::sealed_size(value.size(), false));
  if (sealer->seal(value, false, {}, token) != redoubt::Status::ok) state.SkipWithError("seal");
  for (auto _ : state) {
    std::size_t size = 0;
    const redoubt::Result<redoubt::TokenView> view = redoubt::token_parse(token);
    if (!view.ok() || sealer->open(*view, value, size) != redoubt::Status::ok) state.SkipWithError("open");
    benchmark::DoNotOptimize(value.data());
  }
}

void TokenToText(benchmark::State &state) {
  Octets token(redoubt::TokenSealer::sealed_size(static_cast<std::size_t>(state.range(0)), false), 0x5a);
  std::vector<char> text(redoubt::token_text_size(token.size()));
  for (auto _ : state) {
    if (redoubt::token_to_text(token, text) != redoubt::Status::ok) state.SkipWithError("text");
    benchmark::DoNotOptimize(text.data());
  }
}

void OpensslSeal(benchmark::State &state) {
  const std::unique_ptr<EVP_CIPHER, decltype(&EVP_CIPHER_free)> cipher(
      EVP_CIPHER_fetch(nullptr, "AES-256-SIV", nullptr), EVP_CIPHER_free);
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                EVP_CIPHER_CTX_free);
  Octets key = kK1;
  key.insert(key.end(), kK2.begin(), kK2.end());
  Octets value(static_cast<std::size_t>(state.range(0)), 0x41);
  Octets sealed(redoubt::kSivSize + value.size());
  for (auto _ : state) {
    value[0]++;
    int size = 0;
    const bool done =
        EVP_EncryptInit_ex2(context.get(), cipher.get(), key.data(), nullptr, nullptr) == 1 &&
        EVP_EncryptUpdate(context.get(), nullptr, &size, kClassId.data(), static_cast<int>(kClassId.size())) == 1 &&
        EVP_EncryptUpdate(context.get(), &sealed[redoubt::kSivSize], &size, value.data(),
                          static_cast<int>(value.size())) == 1 &&
        EVP_EncryptFinal_ex(context.get(), nullptr, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, redoubt::kSivSize, sealed.data()) == 1;
    if (!done) state.SkipWithError("OpenSSL");
    benchmark::DoNotOptimize(sealed.data());
  }
}

BENCHMARK(Seal)->Arg(10)->Arg(25)->Arg(100)->Arg(1000)->Arg(4096);
BENCHMARK(Open)->Arg(10)->Arg(25)->Arg(100)->Arg(1000)->Arg(4096);
BENCHMARK(Fingerprint)->Arg(25);
BENCHMARK(TokenOpen)->Arg(25);
BENCHMARK(TokenToText)->Arg(25);
BENCHMARK(OpensslSeal)->Arg(10)->Arg(25)->Arg(100)->Arg(1000)->Arg(4096);

}  // namespace
