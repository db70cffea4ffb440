// error_origin.cpp - see error_origin.h.
//
// Covered by test/tap/neighbours.pl and test/metering.
#include "pg/base/boundary.h"

#include "pg/base/error_origin.h"

extern "C" {
#include <dlfcn.h>
}

namespace redoubt::pg {
namespace {

// Where the object that `address` lies in was loaded; null for memory that is no object's.
const void *object_of(const void *address) noexcept {
  Dl_info object = {};
  return dladdr(address, &object) != 0 ? object.dli_fbase : nullptr;
}

}  // namespace

ErrorOrigin error_origin(const ErrorData *error) noexcept {
  const void *const origin = error->filename != nullptr ? object_of(error->filename) : nullptr;
  if (origin == nullptr) return ErrorOrigin::other;
  static constexpr char kHere[] = "redoubt";
  if (origin == object_of(kHere)) return ErrorOrigin::redoubt;
  return origin == object_of(reinterpret_cast<const void *>(errstart)) ? ErrorOrigin::server : ErrorOrigin::other;
}

}  // namespace redoubt::pg
