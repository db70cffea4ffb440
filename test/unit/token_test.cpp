// token_test.cpp - the sealed token: layout, text, order, rotation, and what must be refused.
#include "core/token.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "octets.h"

namespace redoubt {
namespace {

using test::Octets;
using test::octets;
using test::random_octets;
using Keys = test::SealerKeys<TokenSealer, kTokenClassIdSize>;

Octets seal(TokenSealer &sealer, const Octets &value, bool randomised = false) {
  Octets token(TokenSealer::sealed_size(value.size(), randomised));
  const Octets nonce = random_octets(randomised ? kTokenNonceSize : 0);
  EXPECT_EQ(sealer.seal(value, randomised, nonce, token), Status::ok);
  return token;
}

// open returns the status, and checks that nothing but the value is left in the buffer, and that a deterministic token
// opens without a view to the same.
Status open(TokenSealer &sealer, const Octets &token, Octets &value) {
  const Result<TokenView> view = token_parse(token);
  if (!view.ok()) return view.status();
  value.assign(view->ciphertext.size(), 0xa5);
  std::size_t size = 999;
  const Status status = sealer.open(*view, value, size);
  EXPECT_LE(size, value.size());
  if (status != Status::ok) {
    EXPECT_EQ(size, 0U);
  }
  EXPECT_TRUE(std::all_of(value.begin() + static_cast<std::ptrdiff_t>(size), value.end(),
                          [](std::uint8_t byte) { return byte == 0; }));
  EXPECT_EQ(token_is_deterministic(token), !view->randomised && !view->vaulted && !view->typed);
  EXPECT_EQ(token_key_version(token), view->key_version);
  if (token_is_deterministic(token)) {
    Octets again(token.size() - kTokenOverhead, 0xa5);
    EXPECT_EQ(sealer.open_deterministic(token, again), status);
    EXPECT_EQ(again, value);
  }
  value.resize(size);
  return status;
}

TEST(Token, LayoutIsTheDocumentedOne) {
  const Keys keys;
  TokenSealer sealer = keys.sealer(0x1234);
  EXPECT_EQ(sealer.key_version(), 0x1234);
  const Octets value = octets("alice@example.com");
  const Octets token = seal(sealer, value);
  ASSERT_EQ(token.size(), 3 + 16 + value.size());
  EXPECT_EQ(token[0], 0x10);
  EXPECT_EQ(token[1], 0x12);
  EXPECT_EQ(token[2], 0x34);

  // What follows is AES-SIV with the class id as its one component.
  Result<Siv> siv = Siv::make(keys.k1, keys.k2);
  ASSERT_TRUE(siv.ok());
  const std::array<std::span<const std::uint8_t>, 1> ad{keys.class_id};
  Octets sealed(16 + value.size());
  ASSERT_EQ(siv->seal(ad, value, sealed), Status::ok);
  EXPECT_TRUE(std::equal(sealed.begin(), sealed.end(), token.begin() + 3, token.end()));

  // Randomised: byte 0 is a second component, and the nonce precedes the value.
  const Octets randomised = seal(sealer, value, true);
  ASSERT_EQ(randomised.size(), 3 + 16 + 16 + value.size());
  EXPECT_EQ(randomised[0], 0x11);
  const Octets form{0x11};
  const std::array<std::span<const std::uint8_t>, 2> ad2{keys.class_id, form};
  Octets opened(16 + value.size());
  ASSERT_EQ(siv->open(ad2, std::span(randomised).subspan(3), opened), Status::ok);
  EXPECT_TRUE(std::equal(value.begin(), value.end(), opened.begin() + 16, opened.end()));
}

TEST(Token, RoundTripsBothForms) {
  const Keys keys;
  TokenSealer sealer = keys.sealer(65535);
  for (std::size_t size = 0; size < 300; ++size) {
    const Octets value = random_octets(size);
    for (const bool randomised : {false, true}) {
      const Octets token = seal(sealer, value, randomised);
      const Result<TokenView> view = token_parse(token);
      ASSERT_TRUE(view.ok());
      EXPECT_EQ(view->randomised, randomised);
      EXPECT_EQ(view->key_version, 65535);
      Octets opened;
      ASSERT_EQ(open(sealer, token, opened), Status::ok);
      ASSERT_EQ(opened, value);
    }
  }
}

TEST(Token, DeterministicRepeatsRandomisedDoesNot) {
  TokenSealer sealer = Keys().sealer();
  const Octets value = octets("TM-0042137");
  EXPECT_EQ(seal(sealer, value), seal(sealer, value));
  EXPECT_NE(token_compare(seal(sealer, value, true), seal(sealer, value, true)), 0);
}

TEST(Token, RotationKeepsEquality) {
  Keys keys;
  TokenSealer old_sealer = keys.sealer(1);
  keys.k2 = random_octets(32);
  TokenSealer new_sealer = keys.sealer(2);
  const Octets value = octets("alice@example.com");
  const Octets old_token = seal(old_sealer, value);
  const Octets new_token = seal(new_sealer, value);
  EXPECT_NE(old_token, new_token);
  EXPECT_EQ(token_compare(old_token, new_token), 0);
  EXPECT_EQ(token_prefix(old_token), token_prefix(new_token));
  EXPECT_NE(token_compare(old_token, seal(new_sealer, octets("bob@example.com"))), 0);

  Octets opened;
  EXPECT_EQ(open(new_sealer, old_token, opened), Status::invalid_argument) << "the caller chose the wrong version";
  Octets relabelled = old_token;
  relabelled[2] = 2;
  EXPECT_EQ(open(new_sealer, relabelled, opened), Status::corrupt) << "the token lies about its version";
}

TEST(Token, AnotherClassOrKeyIsCorrupt) {
  const Keys keys;
  TokenSealer sealer = keys.sealer();
  Keys other_class = keys;
  other_class.class_id[15] = static_cast<std::uint8_t>(other_class.class_id[15] ^ 1U);
  Keys other_k1 = keys;
  other_k1.k1 = random_octets(32);
  Keys other_k2 = keys;
  other_k2.k2 = random_octets(32);
  for (const bool randomised : {false, true}) {
    const Octets token = seal(sealer, octets("alice@example.com"), randomised);
    for (const Keys *other : {&other_class, &other_k1, &other_k2}) {
      TokenSealer wrong = other->sealer();
      Octets opened;
      EXPECT_EQ(open(wrong, token, opened), Status::corrupt);
    }
  }
}

TEST(Token, NoAlteredBitOpens) {
  TokenSealer sealer = Keys().sealer();
  for (const bool randomised : {false, true}) {
    // 40 bytes, so that a deterministic token is long enough to pass for a randomised one.
    const Octets token = seal(sealer, random_octets(40), randomised);
    for (std::size_t bit = 0; bit < token.size() * 8; ++bit) {
      Octets altered = token;
      altered[bit / 8] = static_cast<std::uint8_t>(altered[bit / 8] ^ 1U << bit % 8);
      Octets opened;
      const Status status = open(sealer, altered, opened);
      if (bit == 0) {
        ASSERT_EQ(status, Status::corrupt) << "the randomised flag is authenticated";
      } else if (bit < 8) {
        const Status expected = randomised ? Status::unsupported
                                : bit == 1 ? Status::malformed  // vaulted, with a key version
                                : bit == 2 ? Status::corrupt    // as typed
                                           : Status::unsupported;
        ASSERT_EQ(status, expected) << bit;
      } else if (bit < 24) {  // key version 1 altered: to 0, or to one that is not this sealer's
        ASSERT_EQ(status, bit == 16 ? Status::malformed : Status::invalid_argument) << bit;
      } else {
        ASSERT_EQ(status, Status::corrupt) << bit;
      }
    }
  }
}

TEST(Token, NoAlteredBitOfAShortTokenOpens) {
  TokenSealer sealer = Keys().sealer();
  for (const std::size_t size : {0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65}) {
    const Octets value = random_octets(size);
    const Octets token = seal(sealer, value);
    Octets opened;
    ASSERT_EQ(open(sealer, token, opened), Status::ok) << size;
    ASSERT_EQ(opened, value) << size;
    for (std::size_t bit = 24; bit < token.size() * 8; ++bit) {
      Octets altered = token;
      altered[bit / 8] = static_cast<std::uint8_t>(altered[bit / 8] ^ 1U << bit % 8);
      ASSERT_EQ(open(sealer, altered, opened), Status::corrupt) << size << ' ' << bit;
    }
    Octets shorter(token.begin(), token.end() - (size > 0 ? 1 : 0));
    if (size > 0) {
      ASSERT_EQ(open(sealer, shorter, opened), Status::corrupt) << size;
    }
    Octets longer = token;
    longer.push_back(0);
    ASSERT_EQ(open(sealer, longer, opened), Status::corrupt) << size;
  }
}

TEST(Token, ParseRefusesWhatIsNoToken) {
  Octets token(kTokenOverhead + 20, 0x55);
  token[0] = 0x10;
  token[1] = 0;
  token[2] = 1;
  EXPECT_TRUE(token_parse(token).ok());
  for (std::size_t size = 0; size < kTokenOverhead; ++size) {
    EXPECT_EQ(token_parse(std::span(token).first(size)).status(), Status::malformed) << size;
  }
  EXPECT_TRUE(token_parse(std::span(token).first(kTokenOverhead)).ok()) << "of an empty value";
  token[0] = 0x11;
  EXPECT_EQ(token_parse(std::span(token).first(kTokenOverhead + 15)).status(), Status::malformed);
  EXPECT_TRUE(token_parse(std::span(token).first(kTokenOverhead + 16)).ok());
  token[0] = 0x14;
  EXPECT_EQ(token_parse(std::span(token).first(kTokenTypedOverhead - 1)).status(), Status::malformed);
  EXPECT_TRUE(token_parse(std::span(token).first(kTokenTypedOverhead)).ok());
  for (unsigned first = 0; first < 256; ++first) {
    token[0] = static_cast<std::uint8_t>(first);
    const Status expected = first == 0x10 || first == 0x11 || first == 0x14 ? Status::ok
                            : first == 0x12 ? Status::malformed  // vaulted, with a key version
                                            : Status::unsupported;
    EXPECT_EQ(token_parse(token).status(), expected) << first;
  }
  token[0] = 0x10;
  token[2] = 0;
  EXPECT_EQ(token_parse(token).status(), Status::malformed) << "key version 0";
}

Octets seal_typed(TokenSealer &sealer, const Octets &normal, const Octets &spelling) {
  Octets token(kTokenTypedOverhead + spelling.size());
  EXPECT_EQ(sealer.seal_typed(normal, spelling, token), Status::ok);
  return token;
}

TEST(Token, AsTypedItOpensToTheSpellingAndEqualsTheNormalForm) {
  const Keys keys;
  TokenSealer sealer = keys.sealer(0x0102);
  const Octets normal = octets("alice@example.com");
  for (const Octets &spelling : {octets("Alice@Example.COM"), octets(""), random_octets(100)}) {
    const Octets token = seal_typed(sealer, normal, spelling);
    ASSERT_EQ(token.size(), 3 + 16 + 16 + spelling.size());
    EXPECT_EQ(token[0], 0x14);
    EXPECT_EQ(token[1], 1);
    EXPECT_EQ(token[2], 2);
    EXPECT_EQ(token_compare(token, seal(sealer, normal)), 0);
    EXPECT_EQ(token_prefix(token), token_prefix(seal(sealer, normal)));
    Octets opened;
    EXPECT_EQ(open(sealer, token, opened), Status::ok);
    EXPECT_EQ(opened, spelling);
    EXPECT_EQ(seal_typed(sealer, normal, spelling), token) << "deterministic";

    // W and the ciphertext are AES-SIV with three components: class id, byte 0, V.
    Result<Siv> siv = Siv::make(keys.k1, keys.k2);
    ASSERT_TRUE(siv.ok());
    const Octets form{0x14};
    const std::span<const std::uint8_t> v = std::span(token).subspan(3, 16);
    const std::array<std::span<const std::uint8_t>, 3> ad{keys.class_id, form, v};
    Octets sealed(16 + spelling.size());
    EXPECT_EQ(siv->seal(ad, spelling, sealed), Status::ok);
    EXPECT_TRUE(std::equal(sealed.begin(), sealed.end(), token.begin() + 19));
  }
  Octets wrong_size(kTokenTypedOverhead);
  EXPECT_EQ(sealer.seal_typed(normal, normal, wrong_size), Status::invalid_argument);
}

// Two spellings of one value share V: a key stream made of V would be used twice.
TEST(Token, SpellingsOfOneValueShareNoKeyStream) {
  TokenSealer sealer = Keys().sealer();
  const Octets normal = octets("alice@example.com");
  const Octets one = octets("Alice@example.com");
  const Octets two = octets("alicE@example.com");
  const Octets plain = seal(sealer, normal);
  const Octets a = seal_typed(sealer, normal, one);
  const Octets b = seal_typed(sealer, normal, two);
  const auto differ = [](const std::uint8_t *x, const Octets &p, const std::uint8_t *y, const Octets &q) {
    int same = 0;
    for (std::size_t i = 0; i < p.size(); ++i) same += (x[i] ^ y[i]) == (p[i] ^ q[i]) ? 1 : 0;
    return same < 8;
  };
  EXPECT_TRUE(differ(a.data() + kTokenTypedOverhead, one, b.data() + kTokenTypedOverhead, two));
  EXPECT_TRUE(differ(a.data() + kTokenTypedOverhead, one, plain.data() + kTokenOverhead, normal));
}

TEST(Token, NoAlteredBitOfATypedTokenOpens) {
  TokenSealer sealer = Keys().sealer();
  const Octets token = seal_typed(sealer, octets("alice@example.com"), octets("Alice@example.com"));
  for (std::size_t bit = 0; bit < token.size() * 8; ++bit) {
    Octets altered = token;
    altered[bit / 8] = static_cast<std::uint8_t>(altered[bit / 8] ^ 1U << bit % 8);
    Octets opened;
    const Status status = open(sealer, altered, opened);
    const Status expected = bit == 2   ? Status::corrupt  // the flag is authenticated
                            : bit < 8  ? Status::unsupported
                            : bit < 24 ? bit == 16 ? Status::malformed : Status::invalid_argument
                                       : Status::corrupt;
    ASSERT_EQ(status, expected) << bit;
  }
  // Nor with the V of another value.
  Octets moved = token;
  const Octets other = seal(sealer, octets("bob@example.com"));
  std::copy_n(other.begin() + 3, 16, moved.begin() + 3);
  Octets opened;
  EXPECT_EQ(open(sealer, moved, opened), Status::corrupt);
}

TEST(Token, FingerprintsOutliveRotationAndHaveNothingInCommonWithTokens) {
  Keys keys;
  TokenSealer sealer = keys.sealer(1);
  const auto of = [](TokenSealer &by, IndexUse use, const Octets &text) {
    std::array<std::uint8_t, kSivSize> out{};
    EXPECT_EQ(by.fingerprint(use, text, out), Status::ok);
    return Octets(out.begin(), out.end());
  };
  const Octets value = octets("alice@example.com");
  const Octets lower = of(sealer, IndexUse::lower, value);
  EXPECT_EQ(of(sealer, IndexUse::lower, value), lower);
  EXPECT_NE(of(sealer, IndexUse::lower, octets("alice@example.con")), lower);
  EXPECT_NE(of(sealer, IndexUse::upper, value), lower);
  EXPECT_NE(of(sealer, IndexUse::trigram, value), lower);
  const Octets token = seal(sealer, value);
  EXPECT_NE(Octets(token.begin() + kTokenHeaderSize, token.begin() + kTokenOverhead), lower);

  keys.k2 = random_octets(32);
  TokenSealer rotated = keys.sealer(2);
  EXPECT_EQ(of(rotated, IndexUse::lower, value), lower);
  keys.class_id[0] ^= 1U;
  TokenSealer other = keys.sealer(2);
  EXPECT_NE(of(other, IndexUse::lower, value), lower);

  TokenSealer empty;
  std::array<std::uint8_t, kSivSize> out{};
  EXPECT_EQ(empty.fingerprint(IndexUse::lower, value, out), Status::crypto_failure);
}

TEST(Token, SealedAnewItEqualsItselfAndOpensToTheSame) {
  const Keys keys;
  TokenSealer old_sealer = keys.sealer(1);
  Keys next = keys;
  next.k2 = random_octets(next.k2.size());
  TokenSealer new_sealer = next.sealer(2);
  const Octets spelling = octets("Alice@Example.com");
  const Octets normal = octets("alice@example.com");
  Octets typed(kTokenTypedOverhead + spelling.size());
  ASSERT_EQ(old_sealer.seal_typed(normal, spelling, typed), Status::ok);
  for (const Octets &token : {seal(old_sealer, normal), seal(old_sealer, normal, true), seal(old_sealer, {}), typed}) {
    const Result<TokenView> view = token_parse(token);
    ASSERT_TRUE(view.ok());
    Octets value;
    ASSERT_EQ(open(old_sealer, token, value), Status::ok);
    const Octets nonce = random_octets(view->randomised ? kTokenNonceSize : 0);
    Octets made(token.size());
    ASSERT_EQ(new_sealer.reseal(*view, value, nonce, made), Status::ok);
    EXPECT_EQ(made[0], token[0]);
    EXPECT_EQ(token_parse(made)->key_version, 2);
    EXPECT_EQ(token_compare(token, made) == 0, !view->randomised);
    Octets opened;
    EXPECT_EQ(open(new_sealer, made, opened), Status::ok);
    EXPECT_EQ(opened, value);
    if (!value.empty()) {
      EXPECT_FALSE(std::equal(made.end() - static_cast<std::ptrdiff_t>(value.size()), made.end(),
                              token.end() - static_cast<std::ptrdiff_t>(value.size())));
    }

    // Another value, another fingerprint key, other sizes: nothing comes out.
    const auto refused = [&](TokenSealer &sealer, const Octets &given, const Octets &with, std::size_t size,
                             Status why) {
      Octets out(size, 0xa5);
      EXPECT_EQ(sealer.reseal(*view, given, with, out), why);
      EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](std::uint8_t byte) { return byte == 0; }));
    };
    Keys stranger = next;
    stranger.k1 = random_octets(stranger.k1.size());
    TokenSealer other = stranger.sealer(3);
    if (!view->randomised) {
      refused(other, value, nonce, token.size(), Status::corrupt);
      Octets changed = value;
      if (!changed.empty()) {
        changed[0] ^= 1U;
        refused(new_sealer, changed, nonce, token.size(), Status::corrupt);
      }
    }
    refused(new_sealer, value, nonce, token.size() + 1, Status::invalid_argument);
    refused(new_sealer, value, random_octets(view->randomised ? 0 : kTokenNonceSize), token.size(),
            Status::invalid_argument);
  }
  Octets vaulted(kTokenOverhead);
  token_make_vaulted(std::span<const std::uint8_t, kSivSize>(keys.class_id.data(), kSivSize),
                     std::span<std::uint8_t, kTokenOverhead>(vaulted.data(), kTokenOverhead));
  Octets out(vaulted.size());
  EXPECT_EQ(new_sealer.reseal(*token_parse(vaulted), {}, {}, out), Status::invalid_argument);
}

TEST(Token, AVaultedTokenIsRandomBytesThatNothingOpens) {
  const Octets random = random_octets(kSivSize);
  Octets token(kTokenOverhead + 1);
  token_make_vaulted(std::span(random).first<kSivSize>(), std::span(token).first<kTokenOverhead>());
  EXPECT_EQ(token_parse(token).status(), Status::malformed) << "it has no ciphertext";
  token.resize(kTokenOverhead);
  const Result<TokenView> view = token_parse(token);
  ASSERT_TRUE(view.ok());
  EXPECT_TRUE(view->vaulted);
  EXPECT_FALSE(view->randomised);
  EXPECT_EQ(view->key_version, 0);
  EXPECT_TRUE(std::equal(random.begin(), random.end(), view->v.begin()));
  TokenSealer sealer = Keys().sealer();
  Octets value;
  EXPECT_EQ(open(sealer, token, value), Status::malformed);
  token[2] = 1;
  EXPECT_EQ(token_parse(token).status(), Status::malformed) << "nor a key version";
  token[2] = 0;
  token[0] = 0x13;
  EXPECT_EQ(token_parse(token).status(), Status::unsupported) << "nor is it randomised";
}

TEST(Token, TextFormIsStrictAndRoundTrips) {
  TokenSealer sealer = Keys().sealer();
  for (std::size_t size = 0; size < 64; ++size) {
    const Octets token = seal(sealer, random_octets(size), size % 2 == 1);
    std::string text(token_text_size(token.size()), '\0');
    ASSERT_EQ(token_to_text(token, text), Status::ok);
    EXPECT_TRUE(text.starts_with("tok_E"));
    EXPECT_TRUE(token_has_prefix(text));
    Octets back(token_binary_size_bound(text));
    const Result<std::size_t> written = token_from_text(text, back);
    ASSERT_TRUE(written.ok());
    back.resize(*written);
    EXPECT_EQ(back, token);

    Octets scratch(200);
    for (const std::string &wrong : {text + "=", text + "\n", " " + text, text.substr(1), "TOK_" + text.substr(4),
                                     text.substr(0, 4), text + " ", text.substr(0, 4) + "*" + text.substr(5)}) {
      EXPECT_EQ(token_from_text(wrong, scratch).status(), Status::malformed) << wrong.size();
    }
    EXPECT_EQ(token_from_text(text, std::span(scratch).first(token.size() - 1)).status(), Status::invalid_argument);
  }
  Octets scratch(100);
  EXPECT_EQ(token_from_text("", scratch).status(), Status::malformed);
  EXPECT_EQ(token_from_text("tok_IAAB", scratch).status(), Status::unsupported) << "format version 2";
  EXPECT_FALSE(token_has_prefix("tok"));
  EXPECT_EQ(token_binary_size_bound("alice@example.com"), 0U);
}

TEST(Token, IsFoundWithinAText) {
  constexpr std::string_view kToken = "tok_EAABAAECAwQFBgcICQoLDA0ODw";  // the least size
  EXPECT_TRUE(token_is_within(kToken));
  for (const std::string_view form :
       {"tok_EQABAAECAwQFBgcICQoLDA0ODw", "tok_EgAAAAECAwQFBgcICQoLDA0ODw", "tok_FAABAAECAwQFBgcICQoLDA0ODw"})
    EXPECT_TRUE(token_is_within(std::string("to: ").append(form))) << form;
  EXPECT_TRUE(token_is_within(std::string("tok_tok_tok ").append(kToken).append("-").append(kToken)));
  for (const std::string_view text :
       {"", "tok_", "a token", "tok_EAABAAECAwQFBgcICQoLDA0OD", "tok_EAAAAAECAwQFBgcICQoLDA0ODw",
        "tok_EgABAAECAwQFBgcICQoLDA0ODw", "tok_GAABAAECAwQFBgcICQoLDA0ODw", "tok_IAABAAECAwQFBgcICQoLDA0ODw",
        "tok_EAABAAECAwQF gcICQoLDA0ODw", "TOK_EAABAAECAwQFBgcICQoLDA0ODw", "paid by tok_1MzqLiJLkdIwHu7ixUEgbFdYZ0"})
    EXPECT_FALSE(token_is_within(text)) << text;
}

TEST(Token, OrderIsTotalAndFollowsV) {
  TokenSealer sealer = Keys().sealer();
  std::vector<Octets> tokens{{}, Octets(kTokenOverhead - 1, 0xff)};  // too short to be tokens
  for (int i = 0; i < 60; ++i) tokens.push_back(seal(sealer, random_octets(8)));
  Octets lowest = tokens.back();  // the smallest V there is still comes after what is no token
  std::fill(lowest.begin() + kTokenHeaderSize, lowest.end(), std::uint8_t{0});
  tokens.push_back(lowest);
  std::sort(tokens.begin(), tokens.end(), [](const Octets &a, const Octets &b) { return token_compare(a, b) < 0; });
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    for (std::size_t j = 0; j < tokens.size(); ++j) {
      const int forward = token_compare(tokens[i], tokens[j]);
      const int backward = token_compare(tokens[j], tokens[i]);
      ASSERT_EQ(forward<0, backward> 0);
      ASSERT_EQ(forward == 0, i == j || (i < 2 && j < 2)) << i << ' ' << j;
      ASSERT_EQ(forward < 0, i < j && !(i < 2 && j < 2)) << i << ' ' << j;
      const std::uint64_t a = token_prefix(tokens[i]);
      const std::uint64_t b = token_prefix(tokens[j]);
      if (a != b) {
        ASSERT_EQ(forward < 0, a < b) << "an abbreviated key agrees with the full one";
      }
    }
  }
}

TEST(Token, PrefixIsBigEndian) {
  Octets token(kTokenOverhead);
  for (std::size_t i = 0; i < kSivSize; ++i) token[kTokenHeaderSize + i] = static_cast<std::uint8_t>(i + 1);
  EXPECT_EQ(token_prefix(token), 0x0102030405060708U);
  EXPECT_EQ(token_prefix(std::span(token).first(kTokenOverhead - 1)), 0U);
}

TEST(Token, ChecksArguments) {
  const Keys keys;
  EXPECT_EQ(TokenSealer::make(keys.k1, keys.k2, keys.class_id, 0).status(), Status::invalid_argument);
  EXPECT_EQ(TokenSealer::make(keys.k1, keys.k2, random_octets(15), 1).status(), Status::invalid_argument);
  EXPECT_EQ(TokenSealer::make(keys.k1, random_octets(16), keys.class_id, 1).status(), Status::invalid_argument);

  TokenSealer sealer = keys.sealer();
  const Octets value(10, 0x41);
  const Octets nonce(kTokenNonceSize, 0x42);
  const std::span<const std::uint8_t> none;
  Octets right(TokenSealer::sealed_size(10, false), 0xa5);
  EXPECT_EQ(sealer.seal(value, false, nonce, right), Status::invalid_argument);
  EXPECT_EQ(right, Octets(right.size())) << "wiped";
  Octets randomised(TokenSealer::sealed_size(10, true));
  EXPECT_EQ(sealer.seal(value, true, none, randomised), Status::invalid_argument);
  EXPECT_EQ(sealer.seal(value, true, std::span(nonce).first(15), randomised), Status::invalid_argument);
  EXPECT_EQ(sealer.seal(value, false, none, randomised), Status::invalid_argument);
  EXPECT_EQ(sealer.seal(value, false, none, std::span(right).first(2)), Status::invalid_argument);

  const Octets token = seal(sealer, value);
  const Result<TokenView> view = token_parse(token);
  ASSERT_TRUE(view.ok());
  Octets small(9, 0xa5);
  std::size_t size = 999;
  EXPECT_EQ(sealer.open(*view, small, size), Status::invalid_argument);
  EXPECT_EQ(size, 0U);
  EXPECT_EQ(small, Octets(9)) << "wiped";
  EXPECT_EQ(sealer.open(TokenView{}, small, size), Status::malformed);
  small.assign(9, 0xa5);
  EXPECT_EQ(sealer.open_deterministic(token, small), Status::invalid_argument);
  EXPECT_EQ(small, Octets(9)) << "wiped";
  Octets other = token;
  for (const auto &[place, byte] : {std::pair<std::size_t, std::uint8_t>{0, 0x11}, {0, 0x20}, {1, 1}, {2, 0}}) {
    other = token;
    other[place] = byte;
    small.assign(10, 0xa5);
    EXPECT_EQ(sealer.open_deterministic(other, small), Status::invalid_argument) << place;
    EXPECT_EQ(small, Octets(10)) << "wiped";
  }
  EXPECT_FALSE(token_is_deterministic(none));
  EXPECT_FALSE(token_is_deterministic(std::span(token).first(kTokenOverhead - 1)));

  TokenSealer empty;
  EXPECT_EQ(empty.seal(value, false, none, right), Status::crypto_failure);
  EXPECT_EQ(right, Octets(right.size()));
}

}  // namespace
}  // namespace redoubt
