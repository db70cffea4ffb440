// token.cpp - the sealed token: form, text, order, sealing and opening.
//
// What it is: token.h's layout in code.  See there for the layout and the invariant.
// Covered by test/unit/token_test.cpp.
#include "core/token.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/base64url.h"

namespace redoubt {

namespace {

constexpr std::uint8_t kVersion1 = 0x10;        // format version 1 in the high nibble
constexpr std::uint8_t kVersionMask = 0xf0;     //
constexpr std::uint8_t kFlagRandomised = 0x01;  //
constexpr std::uint8_t kFlagVaulted = 0x02;     //
constexpr std::uint8_t kFlagTyped = 0x04;       // no more flags than these
constexpr std::uint8_t kDeterministicByte = kVersion1;
static_assert(kDeterministicByte == kTokenDeterministic);
constexpr std::uint8_t kRandomisedByte = kVersion1 | kFlagRandomised;
constexpr std::uint8_t kVaultedByte = kVersion1 | kFlagVaulted;
constexpr std::uint8_t kTypedByte = kVersion1 | kFlagTyped;

bool is_form(std::uint8_t byte) noexcept {
  return byte == kDeterministicByte || byte == kRandomisedByte || byte == kVaultedByte || byte == kTypedByte;
}

// The names of IndexUse, as associated data.
constexpr std::array<std::string_view, kIndexUses> kIndexNames{"index lower", "index upper", "index trigram"};

// V of a token; empty for bytes too short to hold one, so that order stays total on any bytes.
std::span<const std::uint8_t> v_of(std::span<const std::uint8_t> token) noexcept {
  if (token.size() < kTokenOverhead) return {};
  return token.subspan(kTokenHeaderSize, kSivSize);
}

void write_header(std::uint8_t form, std::uint16_t key_version, std::span<std::uint8_t> out) noexcept {
  out[0] = form;
  out[1] = static_cast<std::uint8_t>(key_version >> 8U);
  out[2] = static_cast<std::uint8_t>(key_version & 0xffU);
}

}  // namespace

Result<TokenView> token_parse(std::span<const std::uint8_t> token) noexcept {
  // The version first: a later format may well be shorter.
  if (token.empty()) return Status::malformed;
  if ((token[0] & kVersionMask) != kVersion1) return Status::unsupported;
  if (!is_form(token[0])) return Status::unsupported;

  TokenView view;
  view.randomised = token[0] == kRandomisedByte;
  view.vaulted = token[0] == kVaultedByte;
  view.typed = token[0] == kTypedByte;
  const std::size_t overhead = view.typed ? kTokenTypedOverhead : kTokenOverhead;
  if (token.size() < overhead) return Status::malformed;
  view.key_version = token_key_version(token);
  view.v = v_of(token);
  view.iv = token.subspan(overhead - kSivSize, kSivSize);
  view.ciphertext = token.subspan(overhead);
  if ((view.key_version == 0) != view.vaulted) return Status::malformed;
  if (view.vaulted && !view.ciphertext.empty()) return Status::malformed;
  if (view.randomised && view.ciphertext.size() < kTokenNonceSize) return Status::malformed;
  return view;
}

void token_make_vaulted(std::span<const std::uint8_t, kSivSize> random,
                        std::span<std::uint8_t, kTokenOverhead> out) noexcept {
  out[0] = kVaultedByte;
  out[1] = out[2] = 0;
  std::copy(random.begin(), random.end(), out.begin() + kTokenHeaderSize);
}

std::size_t token_text_size(std::size_t binary) noexcept {
  return kTokenPrefix.size() + base64url_encoded_size(binary);
}

Status token_to_text(std::span<const std::uint8_t> token, std::span<char> text) noexcept {
  if (text.size() != token_text_size(token.size())) return Status::invalid_argument;
  std::copy(kTokenPrefix.begin(), kTokenPrefix.end(), text.begin());
  return base64url_encode(token, text.subspan(kTokenPrefix.size()));
}

bool token_has_prefix(std::string_view text) noexcept { return text.starts_with(kTokenPrefix); }

bool token_is_within(std::string_view text) noexcept {
  constexpr std::size_t kWhole = kTokenOverhead / 3 * 3;  // bytes that characters of their own stand for
  for (std::size_t at = 0; (at = text.find(kTokenPrefix, at)) != std::string_view::npos;) {
    at += kTokenPrefix.size();
    const std::string_view rest = text.substr(at);
    std::array<std::uint8_t, kWhole> head{};
    if (rest.size() < base64url_encoded_size(kTokenOverhead) ||
        !base64url_decode(rest.substr(0, base64url_encoded_size(kWhole)), head).ok())
      continue;
    if (is_form(head[0]) && (token_key_version(head) == 0) == (head[0] == kVaultedByte)) return true;
  }
  return false;
}

std::size_t token_binary_size_bound(std::string_view text) noexcept {
  return token_has_prefix(text) ? base64url_decoded_size(text.size() - kTokenPrefix.size()) : 0;
}

Result<std::size_t> token_from_text(std::string_view text, std::span<std::uint8_t> out) noexcept {
  if (!token_has_prefix(text)) return Status::malformed;
  const Result<std::size_t> size = base64url_decode(text.substr(kTokenPrefix.size()), out);
  if (!size.ok()) return size;
  const Result<TokenView> view = token_parse(out.first(*size));
  if (!view.ok()) return view.status();
  return size;
}

int token_compare(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) noexcept {
  const std::span<const std::uint8_t> va = v_of(a);
  const std::span<const std::uint8_t> vb = v_of(b);
  if (va.empty() || vb.empty()) return static_cast<int>(vb.empty()) - static_cast<int>(va.empty());
  return std::memcmp(va.data(), vb.data(), kSivSize);
}

std::uint64_t token_prefix(std::span<const std::uint8_t> token) noexcept {
  const std::span<const std::uint8_t> v = v_of(token);
  std::uint64_t prefix = 0;
  if (!v.empty()) {
    for (const std::uint8_t byte : v.first<sizeof prefix>()) prefix = prefix << 8U | byte;
  }
  return prefix;
}

Result<TokenSealer> TokenSealer::make(std::span<const std::uint8_t> k1, std::span<const std::uint8_t> k2,
                                      std::span<const std::uint8_t> class_id, std::uint16_t key_version) {
  if (class_id.size() != kTokenClassIdSize || key_version == 0) return Status::invalid_argument;
  Result<Siv> siv = Siv::make(k1, k2);
  if (!siv.ok()) return siv.status();

  const std::array<std::uint8_t, 1> randomised_form{kRandomisedByte};
  const std::array<std::uint8_t, 1> typed_form{kTypedByte};
  const std::array<std::span<const std::uint8_t>, 2> randomised_components{class_id, randomised_form};
  const std::array<std::span<const std::uint8_t>, 2> typed_components{class_id, typed_form};
  Result<SivAd> deterministic = siv->absorb(std::span(randomised_components).first<1>());
  Result<SivAd> randomised = siv->absorb(randomised_components);
  Result<SivAd> typed = siv->absorb(typed_components);
  if (!deterministic.ok()) return deterministic.status();
  if (!randomised.ok()) return randomised.status();
  if (!typed.ok()) return typed.status();

  TokenSealer sealer;
  for (std::size_t use = 0; use < kIndexUses; ++use) {
    const auto *name = reinterpret_cast<const std::uint8_t *>(kIndexNames[use].data());
    Result<SivAd> ad = siv->absorb(*deterministic, {name, kIndexNames[use].size()});
    if (!ad.ok()) return ad.status();
    sealer.index_ad_[use] = *std::move(ad);
  }
  sealer.siv_ = *std::move(siv);
  sealer.deterministic_ad_ = *std::move(deterministic);
  sealer.randomised_ad_ = *std::move(randomised);
  sealer.typed_ad_ = *std::move(typed);
  sealer.key_version_ = key_version;
  return sealer;
}

Status TokenSealer::seal(std::span<const std::uint8_t> plaintext, bool randomised,
                         std::span<const std::uint8_t> nonce16, std::span<std::uint8_t> out) noexcept {
  if (nonce16.size() != (randomised ? kTokenNonceSize : 0) || out.size() != sealed_size(plaintext.size(), randomised)) {
    OPENSSL_cleanse(out.data(), out.size());
    return Status::invalid_argument;
  }
  std::span<const std::uint8_t> sealed_plaintext = plaintext;
  if (randomised) {
    // Nonce and value are put together where their ciphertext goes, and enciphered in place.
    const std::span<std::uint8_t> body = out.subspan(kTokenOverhead);
    std::copy(nonce16.begin(), nonce16.end(), body.begin());
    std::copy(plaintext.begin(), plaintext.end(), body.begin() + kTokenNonceSize);
    sealed_plaintext = body;
  }
  const SivAd &ad = randomised ? randomised_ad_ : deterministic_ad_;
  const Status status = siv_.seal(ad, sealed_plaintext, out.subspan(kTokenHeaderSize));
  write_header(randomised ? kRandomisedByte : kDeterministicByte, key_version_, out);
  if (status != Status::ok) OPENSSL_cleanse(out.data(), out.size());
  return status;
}

Status TokenSealer::seal_typed(std::span<const std::uint8_t> normal, std::span<const std::uint8_t> spelling,
                               std::span<std::uint8_t> out) noexcept {
  Status status = Status::invalid_argument;
  if (out.size() == kTokenTypedOverhead + spelling.size()) {
    const std::span<std::uint8_t, kSivSize> v = out.subspan<kTokenHeaderSize, kSivSize>();
    status = siv_.fingerprint(deterministic_ad_, normal, v);
    if (status == Status::ok) {
      const Result<SivAd> ad = siv_.absorb(typed_ad_, v);
      status = ad.ok() ? siv_.seal(*ad, spelling, out.subspan(kTokenOverhead)) : ad.status();
    }
    write_header(kTypedByte, key_version_, out);
  }
  if (status != Status::ok) OPENSSL_cleanse(out.data(), out.size());
  return status;
}

Status TokenSealer::open(const TokenView &token, std::span<std::uint8_t> out, std::size_t &len) noexcept {
  len = 0;
  const std::size_t sealed = token.ciphertext.size();
  const std::size_t nonce = token.randomised ? kTokenNonceSize : 0;
  Status status = Status::ok;
  if (token.vaulted || token.v.size() != kSivSize || token.iv.size() != kSivSize || sealed < nonce) {
    status = Status::malformed;
  } else if (token.key_version != key_version_ || out.size() < sealed) {
    status = Status::invalid_argument;
  } else {
    const std::span<const std::uint8_t, kSivSize> iv = token.iv.first<kSivSize>();
    if (token.typed) {
      const Result<SivAd> ad = siv_.absorb(typed_ad_, token.v);
      status = ad.ok() ? siv_.open(*ad, iv, token.ciphertext, out.first(sealed)) : ad.status();
    } else {
      const SivAd &ad = token.randomised ? randomised_ad_ : deterministic_ad_;
      status = siv_.open(ad, iv, token.ciphertext, out.first(sealed));
    }
  }
  if (status != Status::ok) {
    OPENSSL_cleanse(out.data(), out.size());
    return status;
  }
  len = sealed - nonce;
  if (token.randomised) {
    std::memmove(out.data(), out.data() + nonce, len);
    OPENSSL_cleanse(out.data() + len, nonce);
  }
  return Status::ok;
}

Status TokenSealer::open_deterministic(std::span<const std::uint8_t> token, std::span<std::uint8_t> out) noexcept {
  if (!token_is_deterministic(token) || token_key_version(token) != key_version_) {
    OPENSSL_cleanse(out.data(), out.size());
    return Status::invalid_argument;
  }
  return siv_.open(deterministic_ad_, token.subspan<kTokenHeaderSize, kSivSize>(), token.subspan(kTokenOverhead), out);
}

Status TokenSealer::reseal(const TokenView &was, std::span<const std::uint8_t> value,
                           std::span<const std::uint8_t> nonce16, std::span<std::uint8_t> out) noexcept {
  Status status = Status::invalid_argument;
  if (was.vaulted || was.v.size() != kSivSize || was.iv.size() != kSivSize) {
    // nothing to seal
  } else if (!was.typed) {
    status = seal(value, was.randomised, nonce16, out);
  } else if (nonce16.empty() && out.size() == kTokenTypedOverhead + value.size()) {
    // V is that of the normal form, which is not known here; it depends on the fingerprint key alone.
    std::copy(was.v.begin(), was.v.end(), out.begin() + kTokenHeaderSize);
    const Result<SivAd> ad = siv_.absorb(typed_ad_, was.v);
    status = ad.ok() ? siv_.seal(*ad, value, out.subspan(kTokenOverhead)) : ad.status();
    write_header(kTypedByte, key_version_, out);
  }
  // The IV does not depend on the version: another one means another fingerprint key.
  const std::size_t iv = was.typed ? kTokenOverhead : kTokenHeaderSize;
  if (status == Status::ok && !was.randomised && !std::ranges::equal(was.iv, out.subspan(iv, was.iv.size())))
    status = Status::corrupt;
  if (status != Status::ok) OPENSSL_cleanse(out.data(), out.size());
  return status;
}

Status TokenSealer::fingerprint(IndexUse use, std::span<const std::uint8_t> text,
                                std::span<std::uint8_t, kSivSize> out) noexcept {
  return siv_.fingerprint(index_ad_[static_cast<std::size_t>(use)], text, out);
}

}  // namespace redoubt
