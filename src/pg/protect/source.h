// source.h - where protected values of a statement come from.
#ifndef REDOUBT_PG_PROTECT_SOURCE_H
#define REDOUBT_PG_PROTECT_SOURCE_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

constexpr int kMaxSources = 32;                 // of one statement
constexpr std::uint16_t kMaxFlowCount = 65000;  // what holds more than that is refused, see query_meter_start

inline std::uint16_t flow_count_sum(int one, int other) noexcept {
  return static_cast<std::uint16_t>(std::min(one + other, int{kMaxFlowCount}));
}

// How the values of a token column are met.
enum class Opened : std::uint8_t {
  no,        // as tokens; or the column holds plaintext
  value,     // as the value, opened inside the server
  compared,  // the same, where no more is told of it than how it compares with a constant
};

// A protected column; or, past the named ones, all further columns of a token type.
struct Source {
  Oid relid;  // where the label or the column is; InvalidOid for a shared source
  AttrNumber attno;
  Oid token_type;  // whose limits are charged
  bool is_token;   // holds tokens, which an output function may reveal; else plaintext: labelled, or opened
  Opened opened = Opened::no;
  std::uint16_t copy = 0;  // 0, or which further row of the same table a row of the statement may tell of besides

  bool operator==(const Source &) const = default;
  // The same column, of this row or of another.
  bool is_same_column(const Source &other) const noexcept {
    return OidIsValid(relid) && relid == other.relid && attno == other.attno && token_type == other.token_type;
  }
  // The same, and met in the same way.
  bool is_copy_of(const Source &other) const noexcept { return is_same_column(other) && opened == other.opened; }
  // The same but for its place: values of the one may stand for values of the other.
  bool is_like(const Source &other) const noexcept {
    return token_type == other.token_type && is_token == other.is_token && opened == other.opened;
  }
};

}  // namespace redoubt::pg
#endif
