// algorithm.h - what kat can check: one function an algorithm, one file a function.
//
// To add an algorithm: write its file in this folder (the build finds it), declare its function
// below, and give it a line in kAlgorithms in kat.cpp.
#ifndef REDOUBT_TEST_KAT_ALGORITHM_H
#define REDOUBT_TEST_KAT_ALGORITHM_H

#include <string>

#include "tsv.h"

namespace redoubt::test {

// A check runs one vector and returns the reason why it failed; empty means it passed.
using Check = std::string (*)(const TsvRow &vector);

std::string check_ff1(const TsvRow &vector);
std::string check_hmac(const TsvRow &vector);
std::string check_keywrap(const TsvRow &vector);
std::string check_siv(const TsvRow &vector);

}  // namespace redoubt::test
#endif
