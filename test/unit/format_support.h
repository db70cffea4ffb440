// format_support.h - what the tests of formats share: a cipher under a fixed key, and formats made from text.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "core/format.h"
#include "core/format_batch.h"
#include "core/format_cipher.h"

namespace redoubt {

inline std::unique_ptr<FormatCipher> make_cipher(const std::array<std::uint8_t, kFormatClassIdSize> &class_id = {
                                                     1, 2, 3, 4}) {
  const std::array<std::uint8_t, 32> k2 = {7};
  SecretBytes<kFormatKeySize> key;
  EXPECT_TRUE(format_key(k2, class_id, key));
  return FormatCipher::make(key.span(), class_id);
}

inline std::unique_ptr<Format> make_format(const std::string &spec) {
  std::string problem;
  std::unique_ptr<Format> format = Format::make(spec, problem);
  EXPECT_NE(format, nullptr) << spec << ": " << problem;
  return format;
}

// Result `i` of a batch.
inline std::string result_of(FormatBatch &batch, std::size_t i) {
  std::string result(batch.size(i), '\0');
  batch.write(i, result.data());
  return result;
}

// Why there is no such format.
inline std::string problem_of(const std::string &spec) {
  std::string problem;
  EXPECT_EQ(Format::make(spec, problem), nullptr) << spec;
  return problem;
}

}  // namespace redoubt
