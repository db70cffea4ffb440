// faults.cpp - exceptions to order, in the library that test/tap/faults.pl builds and runs; no part of redoubt.so.
//
// A fault is the name of a C function that PostgreSQL calls by pointer, and what the next call of it throws.  It is
// ordered by SQL for the session at hand, or by REDOUBT_FAULT="name kind" in the environment of the server.
#include "fault_point.h"
#include "pg/base/boundary.h"

namespace redoubt::pg {
namespace {

constinit char armed[NAMEDATALEN] = {};  // empty: none
constinit char kind[NAMEDATALEN] = {};
constinit bool asked_environment = false;
constinit bool fired = false;

void ask_environment() {
  if (std::exchange(asked_environment, true)) return;
  const char *wanted = getenv("REDOUBT_FAULT");
  if (wanted != nullptr && sscanf(wanted, "%63s %63s", armed, kind) != 2) armed[0] = '\0';
}

// `where` holds "Shielded<name, level>", and the namespaces of the name where it has any.
bool is_at(const char *where, const char *name) {
  const char *found = strstr(where, name);
  while (found != nullptr && (found[strlen(name)] != ',' || (found[-1] != '<' && found[-1] != ':')))
    found = strstr(found + 1, name);
  return found != nullptr;
}

[[noreturn]] void fire() {
  fired = true;
  if (strcmp(kind, "bad_alloc") == 0) throw std::bad_alloc();
  if (strcmp(kind, "failure") == 0) throw Failure(ERRCODE_DATA_CORRUPTED, "a fault to order", "It was ordered.");
  throw 17;
}

}  // namespace

FaultPoint::FaultPoint(const char *where) : due_(false) {
  ask_environment();
  if (armed[0] == '\0' || !is_at(where, armed)) return;
  armed[0] = '\0';
  static_assert(WARNING == 19);
  due_ = strstr(where, ", 19>") != nullptr;
  if (!due_) fire();
}

FaultPoint::~FaultPoint() noexcept(false) {
  if (due_) fire();
}

}  // namespace redoubt::pg

// fault(name, kind) orders one; fault_fired() tells whether it was thrown.
REDOUBT_FUNCTION(redoubt_fault) {
  using namespace redoubt::pg;
  fired = false;
  text_to_cstring_buffer(PG_GETARG_TEXT_PP(1), kind, sizeof kind);
  text_to_cstring_buffer(PG_GETARG_TEXT_PP(0), armed, sizeof armed);
  PG_RETURN_VOID();
}
REDOUBT_FUNCTION(redoubt_fault_fired) { PG_RETURN_BOOL(redoubt::pg::fired); }
