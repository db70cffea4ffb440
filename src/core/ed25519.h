// ed25519.h - Ed25519 signatures (RFC 8032, pure).
//
// What it is: how heads of the audit trail are signed, so that whoever has the public key alone can check them.
// What it is not: a key exchange, or for anything secret.
// Invariant: deterministic; no randomness is taken.
// Locks: none.  Covered by test/unit/ed25519_test.cpp (RFC 8032 vectors).
#ifndef REDOUBT_CORE_ED25519_H
#define REDOUBT_CORE_ED25519_H

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace redoubt {

inline constexpr std::size_t kEd25519KeySize = 32;  // of the private key (RFC 8032's seed) and the public one
inline constexpr std::size_t kEd25519SignatureSize = 64;
using Ed25519Signature = std::array<std::uint8_t, kEd25519SignatureSize>;
using Ed25519Key = std::span<const std::uint8_t, kEd25519KeySize>;

// Each is false when OpenSSL fails; then `out` holds zeros.
bool ed25519_public_key(Ed25519Key seed, std::span<std::uint8_t, kEd25519KeySize> out) noexcept;
bool ed25519_sign(Ed25519Key seed, std::string_view message, Ed25519Signature &out) noexcept;

// False as well for a signature that is not that of the message.
bool ed25519_verify(Ed25519Key public_key, std::string_view message, const Ed25519Signature &signature) noexcept;

}  // namespace redoubt
#endif
