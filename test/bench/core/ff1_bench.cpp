// ff1_bench.cpp - FF1 from text to text, one value at a time and in batches, one thread, AES-256.
//
// The yardstick is ten AES blocks enciphered one after the other through the same AesBlocks, the
// least work one FF1 value can be.  Every iteration times a pass over the values and a pass over
// the yardstick side by side, because figures of a shared machine move from run to run:
//   M/s        million values a second in the fastest pass
//   ns         the same, nanoseconds a value
//   ns_chain   ten chained blocks in the fastest pass
//   ratio      ns / ns_chain: compare this between machines
// Results are checked: every pass decrypts what it encrypted before.
#include "core/ff1.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using redoubt::AesBlocks;
using redoubt::Ff1Alphabet;
using redoubt::Ff1Direction;
using redoubt::Ff1Item;
using redoubt::Ff1Plan;
using redoubt::Result;
using redoubt::Status;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kRadix36 = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kRadix62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kGreek = "αβγδεζηθικλμνξοπρστυφχψω";
constexpr std::size_t kValues = 4096;  // in a pass
constexpr std::size_t kChains = 512;   // in a pass of the yardstick

double nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

Result<AesBlocks> test_cipher() {
  std::array<std::uint8_t, 32> key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(7 * i + 1);
  return AesBlocks::make(key);
}

// time_chains returns nanoseconds for ten chained blocks.
double time_chains(AesBlocks &aes) {
  alignas(16) std::array<std::uint8_t, 16> block = {};
  const Clock::time_point start = Clock::now();
  for (std::size_t i = 0; i < kChains * 10; ++i) aes.encrypt(block.data(), block.data(), 1);
  const double time = nanoseconds_since(start);
  benchmark::DoNotOptimize(block);
  return time / kChains;
}

struct Case {
  std::string_view alphabet;
  std::size_t length;
  std::size_t tweak_bytes;
};

// Values and their memory, texts of one length one behind the other.
class Values {
 public:
  Values(const Case &shape, AesBlocks &aes) {
    alphabet = *Ff1Alphabet::make(shape.alphabet);
    if (plan.prepare(aes, alphabet.radix(), shape.length, shape.tweak_bytes) != Status::ok) return;
    const std::size_t room = shape.length * alphabet.max_bytes();
    std::mt19937_64 random(5);
    text.resize(kValues * room);
    result.resize(kValues * room);
    tweak.resize(shape.tweak_bytes * kValues);
    for (std::uint8_t &byte : tweak) byte = static_cast<std::uint8_t>(random());
    std::vector<std::uint16_t> numerals(shape.length);
    for (std::size_t i = 0; i < kValues; ++i) {
      for (std::uint16_t &numeral : numerals) numeral = static_cast<std::uint16_t>(random() % alphabet.radix());
      const std::span<char> at(text.data() + i * room, room);
      const std::size_t size = *alphabet.format(std::span<const std::uint16_t>(numerals), at);
      Ff1Item item{.in = {at.data(), size}, .out = {result.data() + i * room, room}};
      item.tweak = std::span<const std::uint8_t>(tweak).subspan(i * shape.tweak_bytes, shape.tweak_bytes);
      items.push_back(item);
    }
    ready = true;
  }

  bool one_by_one(Ff1Direction direction) {
    bool good = true;
    for (Ff1Item &item : items) {
      if (!item.tweak.empty()) good &= plan.set_tweak(item.tweak) == Status::ok;
      const Result<std::size_t> written = plan.crypt(direction, alphabet, item.in, item.out);
      good &= written.ok();
      item.written = *written;
    }
    return good;
  }

  bool in_batches(Ff1Direction direction, std::size_t size) {
    bool good = true;
    for (std::size_t at = 0; at < items.size(); at += size) {
      const std::size_t count = std::min(size, items.size() - at);
      good &= plan.crypt_batch(direction, alphabet, std::span(items).subspan(at, count)) == Status::ok;
    }
    return good;
  }

  // swap makes the results the next pass's input.
  void swap() {
    for (Ff1Item &item : items) {
      const std::string_view next(item.out.data(), item.written);
      item.out = {const_cast<char *>(item.in.data()), item.out.size()};  // text or result, both ours
      item.in = next;
    }
  }

  Ff1Alphabet alphabet;
  Ff1Plan plan;
  std::string text, result;
  std::vector<std::uint8_t> tweak;
  std::vector<Ff1Item> items;
  bool ready = false;
};

// batch 0: one by one.
void run(benchmark::State &state, const Case &shape, std::size_t batch) {
  Result<AesBlocks> aes = test_cipher();
  if (!aes.ok()) return state.SkipWithError("no cipher");
  Values values(shape, *aes);
  if (!values.ready) return state.SkipWithError("no plan");
  const std::string before = values.text;

  double best = std::numeric_limits<double>::max();
  double best_chain = best;
  Ff1Direction direction = Ff1Direction::encrypt;
  std::size_t passes = 0;
  for (auto _ : state) {
    best_chain = std::min(best_chain, time_chains(*aes));
    const Clock::time_point start = Clock::now();
    const bool good = batch == 0 ? values.one_by_one(direction) : values.in_batches(direction, batch);
    const double time = nanoseconds_since(start);
    state.SetIterationTime(time * 1e-9);
    if (!good) return state.SkipWithError("a value was refused");
    best = std::min(best, time / kValues);
    values.swap();
    ++passes;
    direction = passes % 2 == 0 ? Ff1Direction::encrypt : Ff1Direction::decrypt;
  }
  if (passes % 2 == 1) {  // end on a decryption
    values.one_by_one(Ff1Direction::decrypt);
    values.swap();
  }
  if (values.text != before) return state.SkipWithError("decrypting did not give the values back");
  state.counters["M/s"] = 1e3 / best;
  state.counters["ns"] = best;
  state.counters["ns_chain"] = best_chain;
  state.counters["ratio"] = best / best_chain;
}

// The longest value there is: what bounds the time of one call.
void longest(benchmark::State &state) {
  Result<AesBlocks> aes = test_cipher();
  if (!aes.ok()) return state.SkipWithError("no cipher");
  Ff1Plan plan;
  if (plan.prepare(*aes, redoubt::kFf1MaxRadix, redoubt::kFf1MaxLength, 0) != Status::ok) {
    return state.SkipWithError("no plan");
  }
  std::vector<std::uint16_t> numerals(redoubt::kFf1MaxLength, 12345);
  for (auto _ : state) {
    if (plan.crypt(Ff1Direction::encrypt, numerals, numerals) != Status::ok) return state.SkipWithError("refused");
  }
}

const struct {
  const char *name;
  Case shape;
} kCases[] = {
    {"9_digits", {kDigits, 9, 0}},
    {"10_digits", {kDigits, 10, 0}},
    {"16_digits", {kDigits, 16, 0}},
    {"6_digits_tweak_10", {kDigits, 6, 10}},
    {"16_digits_tweak_40", {kDigits, 16, 40}},
    {"12_radix_36", {kRadix36, 12, 0}},
    {"24_radix_36", {kRadix36, 24, 0}},
    {"32_radix_36", {kRadix36, 32, 0}},
    {"40_radix_36", {kRadix36, 40, 0}},
    {"40_radix_62", {kRadix62, 40, 0}},
    {"12_greek", {kGreek, 12, 0}},
};

}  // namespace

int main(int argc, char **argv) {
  for (const auto &entry : kCases) {
    const std::string name = entry.name;
    benchmark::RegisterBenchmark(("single/" + name).c_str(), run, entry.shape, 0)->UseManualTime();
    for (const std::size_t batch : {16, 64, 256}) {
      benchmark::RegisterBenchmark(("batch_" + std::to_string(batch) + "/" + name).c_str(), run, entry.shape, batch)
          ->UseManualTime();
    }
  }
  benchmark::RegisterBenchmark("longest/4096_radix_65536", longest);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
