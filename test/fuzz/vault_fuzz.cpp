// vault_fuzz.cpp - libFuzzer: records of the vault, of any token and value, and any bytes taken for one.
//
// Input: 1 byte that chooses the bit to change, 1 byte that is the token's length, the token; the rest is the value,
// and is also taken for a record.  Properties: what is sealed opens to itself, under its own token alone; a changed bit
// is refused and wiped; bytes that were never sealed do not open.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/vault.h"
#include "fuzz_input.h"

namespace {

using redoubt::Status;
using redoubt::VaultSealer;

VaultSealer make_sealer() {
  const std::vector<std::uint8_t> k1(32, 0x11);
  const std::vector<std::uint8_t> k2(32, 0x22);
  const std::vector<std::uint8_t> class_id(redoubt::kVaultClassIdSize, 0x33);
  redoubt::Result<VaultSealer> sealer = VaultSealer::make(k1, k2, class_id, 1);
  require(sealer.ok());
  return *std::move(sealer);
}

void require_refused(VaultSealer &sealer, Bytes token, Bytes record) {
  std::vector<std::uint8_t> out(record.size() < redoubt::kVaultOverhead ? 0 : record.size() - redoubt::kVaultOverhead,
                                0xa5);
  require(sealer.open(token, record, out) != Status::ok);
  require(wiped(out));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Bytes input(data, size);
  if (input.size() < 2) return 0;
  const std::size_t choice = input[0];
  const std::size_t length = input[1];
  input = input.subspan(2);
  const Bytes token = take(input, length);
  VaultSealer sealer = make_sealer();
  require_refused(sealer, token, input);

  std::vector<std::uint8_t> record(VaultSealer::sealed_size(input.size()));
  require(sealer.seal(token, input, record) == Status::ok);
  require(*redoubt::vault_key_version(record) == 1);
  std::vector<std::uint8_t> opened(input.size());
  require(sealer.open(token, record, opened) == Status::ok);
  require(std::equal(opened.begin(), opened.end(), input.begin(), input.end()));

  std::vector<std::uint8_t> other(token.begin(), token.end());
  other.push_back(0);
  require_refused(sealer, other, record);
  const std::size_t bit = choice * 131U % (record.size() * 8);
  record[bit / 8] = static_cast<std::uint8_t>(record[bit / 8] ^ 1U << bit % 8);
  require_refused(sealer, token, record);
  return 0;
}
