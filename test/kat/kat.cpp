// kat.cpp - the known-answer tool: kat FILE.tsv
//
// What it is: runs every vector of a file through the core, by the file's alg column, and prints
// "N passed, N failed".  Each failure is a line on standard error with the vector's id.
// What it is not: an algorithm; those are the other files here (algorithm.h says how to add one).
// Exit status: 0 all passed, 1 some failed, 2 the file cannot be read, holds no vector, or names
// an algorithm this build does not know.
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "algorithm.h"
#include "tsv.h"

namespace {

using redoubt::test::Check;
using redoubt::test::TsvRow;
using redoubt::test::TsvTable;

constexpr int kAllPassed = 0;
constexpr int kSomeFailed = 1;
constexpr int kUnusable = 2;

struct Algorithm {
  std::string_view name;  // in the alg column
  Check check;
};

constexpr Algorithm kAlgorithms[] = {
    {"ACVP-AES-FF1", redoubt::test::check_ff1}, {"AES-FF1", redoubt::test::check_ff1},
    {"AES-KWP", redoubt::test::check_keywrap},  {"AES-SIV", redoubt::test::check_siv},
    {"FF1", redoubt::test::check_ff1},          {"HMAC-SHA-256", redoubt::test::check_hmac},
};

Check find_check(std::string_view name) {
  for (const Algorithm &algorithm : kAlgorithms) {
    if (algorithm.name == name) return algorithm.check;
  }
  return nullptr;
}

int run(const std::string &path) {
  TsvTable table;
  std::string error;
  if (!table.read_file(path, error)) {
    std::fprintf(stderr, "kat: %s: %s\n", path.c_str(), error.c_str());
    return kUnusable;
  }

  std::size_t passed = 0;
  std::size_t failed = 0;
  for (const TsvRow &vector : table.rows()) {
    const std::string_view name = vector.field("alg");
    const Check check = find_check(name);
    if (check == nullptr) {
      std::fprintf(stderr, "kat: %s: line %zu: unknown algorithm \"%s\"\n", path.c_str(), vector.line(),
                   std::string(name).c_str());
      return kUnusable;
    }
    const std::string reason = check(vector);
    if (reason.empty()) {
      ++passed;
    } else {
      ++failed;
      std::fprintf(stderr, "FAILED %s (line %zu): %s\n", std::string(vector.field("id")).c_str(), vector.line(),
                   reason.c_str());
    }
  }
  std::printf("%zu passed, %zu failed\n", passed, failed);
  return failed == 0 ? kAllPassed : kSomeFailed;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fputs("usage: kat FILE.tsv\n", stderr);
    return kUnusable;
  }
  try {
    return run(argv[1]);
  } catch (const std::exception &failure) {
    std::fprintf(stderr, "kat: %s\n", failure.what());
    return kUnusable;
  }
}
