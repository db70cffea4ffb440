// tsv.cpp - the reader of vector files.  See tsv.h; covered by test/unit/tsv_test.cpp.
#include "tsv.h"

#include <fstream>
#include <utility>

namespace redoubt::test {

namespace {

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> fields;
  for (;;) {
    const std::size_t tab = line.find('\t');
    fields.emplace_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return fields;
    line.remove_prefix(tab + 1);
  }
}

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string_view TsvRow::field(std::string_view column) const {
  const std::optional<std::size_t> index = table_->index_of(column);
  if (!index || *index >= fields_.size()) return {};
  return fields_[*index];
}

std::optional<std::size_t> TsvTable::index_of(std::string_view name) const {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i] == name) return i;
  }
  return std::nullopt;
}

bool TsvTable::read(std::istream &in, std::string &error) {
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (number == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line == "#" || line.starts_with("# ")) continue;
    std::vector<std::string> fields = split(line);
    if (columns_.empty()) {
      columns_ = std::move(fields);
      continue;
    }
    if (fields.size() > columns_.size()) {
      error = "line " + std::to_string(number) + " has more fields than the header";
      return false;
    }
    TsvRow row;
    row.table_ = this;
    row.fields_ = std::move(fields);
    row.line_ = number;
    rows_.push_back(std::move(row));
  }
  if (in.bad()) {
    error = "read error";
    return false;
  }
  if (rows_.empty()) {
    error = "no vectors";
    return false;
  }
  return true;
}

bool TsvTable::read_file(const std::string &path, std::string &error) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    error = "cannot open";
    return false;
  }
  return read(in, error);
}

std::optional<std::vector<std::uint8_t>> hex_bytes(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = nibble(hex[i]);
    const int low = nibble(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return bytes;
}

std::string bytes_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 15U];
  }
  return hex;
}

}  // namespace redoubt::test
