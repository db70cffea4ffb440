// boundary.h - where PostgreSQL's longjmp and C++'s exceptions meet.
//
// Two directions, one primitive each:
//
//   entry<fn>  PostgreSQL calls us.  No C++ exception may cross back; every C++
//              frame is gone before ereport() jumps.
//   call(f)    We call PostgreSQL while objects with destructors are alive.  An
//              ERROR raised under f arrives as a C++ exception (pg::Error) that
//              carries the whole ErrorData, so SQLSTATE, detail, hint and
//              context survive the round trip.
//
// pg::Error must reach entry<fn>, or a Subtransaction that rolls back.  After an
// ERROR, LWLocks may still be held, InterruptHoldoffCount is zero and resources
// are owned by an aborting transaction: swallowing it corrupts the backend.
#ifndef REDOUBT_PG_BASE_BOUNDARY_H
#define REDOUBT_PG_BASE_BOUNDARY_H

#include "pg/base/postgres_api.h"

namespace redoubt::pg {

// An ERROR in flight.  Deliberately not a std::exception, so a generic
// catch (const std::exception &) cannot swallow it.
class Error final {
 public:
  explicit Error(ErrorData *edata) noexcept : edata_(edata) {}
  ErrorData *edata() const noexcept { return edata_; }

 private:
  ErrorData *edata_;  // palloc'd in the caller's context; dies with it
};

// The place an error was made.  std::source_location is missing from clang 14.
struct SourceLocation {
  constexpr SourceLocation(const char *f = __builtin_FILE(), int l = __builtin_LINE(),
                           const char *n = __builtin_FUNCTION()) noexcept
      : file(f), line(l), function(n) {}
  const char *file;
  int line;
  const char *function;
};

// An error of our own, thrown where a longjmp would skip destructors.  The
// message and the hint never hold plaintext, a token or a key.
class Failure final : public std::exception {
 public:
  Failure(int sqlstate, const char *message, const char *hint = "", SourceLocation where = SourceLocation()) noexcept
      : sqlstate_(sqlstate), where_(where) {
    strlcpy(message_, message, sizeof message_);
    strlcpy(hint_, hint, sizeof hint_);
  }
  int sqlstate() const noexcept { return sqlstate_; }
  SourceLocation where() const noexcept { return where_; }
  const char *what() const noexcept override { return message_; }
  const char *hint() const noexcept { return hint_; }

 private:
  int sqlstate_;
  SourceLocation where_;  // so the log's LOCATION names the throw site
  char message_[240];
  char hint_[200];
};

namespace detail {

// Restores the handler stacks on every exit from call(), including a C++ throw
// from inside f.  Built before sigsetjmp, so no longjmp skips its destructor.
class HandlerScope {
 public:
  HandlerScope() noexcept : stack_(PG_exception_stack), context_(error_context_stack) {}
  ~HandlerScope() {
    PG_exception_stack = stack_;
    error_context_stack = context_;
  }
  HandlerScope(const HandlerScope &) = delete;
  HandlerScope &operator=(const HandlerScope &) = delete;

 private:
  sigjmp_buf *const stack_;
  ErrorContextCallback *const context_;
};

// Copies the pending error out of ErrorContext.  Null when even that failed.
inline ErrorData *take_error() noexcept {
  HandlerScope scope;
  sigjmp_buf jump;
  if (sigsetjmp(jump, 0) == 0) {
    PG_exception_stack = &jump;
    ErrorData *edata = CopyErrorData();
    FlushErrorState();
    return edata;
  }
  FlushErrorState();
  return nullptr;
}

// What entry<fn> remembers once the C++ frames are gone.  Plain data only: the
// jump out of raise() must skip no destructor.
// Nothing but the flags is initialised: every call pays for this constructor.
struct Outcome {
  Outcome() noexcept { message[0] = hint[0] = '\0'; }
  ErrorData *edata = nullptr;
  int sqlstate = ERRCODE_INTERNAL_ERROR;
  SourceLocation where;
  char message[240];
  char hint[200];

  void set(int code, const char *text, const char *advice = "") noexcept {
    sqlstate = code;
    strlcpy(message, text, sizeof message);
    strlcpy(hint, advice, sizeof hint);
  }
  [[noreturn]] void raise() const {
    if (edata != nullptr) ReThrowError(edata);
    if (errstart(ERROR, TEXTDOMAIN)) {
      errcode(sqlstate);
      errmsg_internal("%s", message[0] != '\0' ? message : "unrecognized C++ exception");
      if (hint[0] != '\0') errhint("%s", hint);
      errhidestmt(true);  // the statement may hold the plaintext that was refused
      errfinish(where.file, where.line, where.function);
    }
    pg_unreachable();
  }
};
static_assert(std::is_trivially_destructible_v<Outcome>);

}  // namespace detail

// call runs `f`, which should do nothing but call PostgreSQL.  The longjmp may
// skip f's own frame, so its captures and its result must be plain data.
template <typename F>
auto call(F &&f) -> std::invoke_result_t<F &> {
  using R = std::invoke_result_t<F &>;
  static_assert(std::is_trivially_destructible_v<std::remove_reference_t<F>>, "capture by reference or by plain value");
  static_assert(std::is_void_v<R> || std::is_trivially_copyable_v<R>, "return plain data (pointer, Datum, bool...)");

  const MemoryContext context = CurrentMemoryContext;
  {
    detail::HandlerScope scope;
    sigjmp_buf jump;
    if (sigsetjmp(jump, 0) == 0) {
      PG_exception_stack = &jump;
      return f();
    }
  }
  MemoryContextSwitchTo(context);  // errfinish() left us in ErrorContext
  if (ErrorData *edata = detail::take_error()) throw Error(edata);
  throw std::bad_alloc();
}

// shield runs `f` and lets no exception out: any failure becomes an ERROR
// raised after f's frames and the exception object are gone.
template <typename F>
auto shield(F &&f) -> std::invoke_result_t<F &> {
  detail::Outcome outcome;
  try {
    return f();
  } catch (const Error &e) {
    outcome.edata = e.edata();
  } catch (const Failure &e) {
    outcome.set(e.sqlstate(), e.what(), e.hint());
    outcome.where = e.where();
  } catch (const std::bad_alloc &) {
    outcome.set(ERRCODE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &e) {
    outcome.set(ERRCODE_INTERNAL_ERROR, e.what());
  } catch (...) {
  }
  outcome.raise();
}

template <Datum (*fn)(FunctionCallInfo)>
inline Datum entry(FunctionCallInfo fcinfo) {
  return shield([fcinfo] { return fn(fcinfo); });
}

// A subtransaction: the only legal place to stop a pg::Error.
class Subtransaction {
 public:
  Subtransaction() : context_(CurrentMemoryContext), owner_(CurrentResourceOwner) {
    call([] { BeginInternalSubTransaction(nullptr); });
    MemoryContextSwitchTo(context_);
  }
  void commit() {
    call([] { ReleaseCurrentSubTransaction(); });
    done_ = true;
    restore();
  }
  ~Subtransaction() {
    if (done_) return;
    try {
      call([] { RollbackAndReleaseCurrentSubTransaction(); });
    } catch (...) {
      elog(FATAL, "could not roll back subtransaction");
    }
    restore();
  }
  Subtransaction(const Subtransaction &) = delete;
  Subtransaction &operator=(const Subtransaction &) = delete;

 private:
  void restore() noexcept {
    MemoryContextSwitchTo(context_);
    CurrentResourceOwner = owner_;
  }
  const MemoryContext context_;
  const ResourceOwner owner_;
  bool done_ = false;
};

}  // namespace redoubt::pg

// REDOUBT_FUNCTION(name) { body } defines an SQL-callable function whose body may
// throw.  PGDLLEXPORT is spelled out because PostgreSQL 15 does not add it.
#define REDOUBT_FUNCTION(name)                                                     \
  extern "C" {                                                                     \
  PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                        \
  PG_FUNCTION_INFO_V1(name);                                                       \
  }                                                                                \
  static Datum name##_body(FunctionCallInfo fcinfo);                               \
  Datum name(PG_FUNCTION_ARGS) { return redoubt::pg::entry<name##_body>(fcinfo); } \
  static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)

#endif
