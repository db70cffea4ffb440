// boundary.h - where PostgreSQL's longjmp and C++'s exceptions meet.
//
// A function of this library fails in one of two ways, never in both:
//
//   It throws, and objects with destructors may be alive in it.  Then it calls PostgreSQL through
//       call(f)      An ERROR raised under f arrives as a C++ exception (pg::Error) that carries the
//                    whole ErrorData, so SQLSTATE, detail, hint and context survive the round trip.
//   It raises (ereport), and plain data alone is alive in it.  Then the C++ in it that may throw runs in
//       shield(f)    Every C++ frame under f is gone before ereport() jumps.
//
// What PostgreSQL calls by pointer is one more shield around the whole function, whatever it does:
//       entry<fn>             an SQL function; made by REDOUBT_FUNCTION
//       shielded<fn>          a hook, callback, provider, receiver; written where PostgreSQL is given the pointer
//       shielded<fn, FATAL>   a callback whose news must not be lost: a backend that did not hear it ends
//       shielded<fn, WARNING> a callback that must not fail (a memory context goes, a transaction or a process ends)
//       REDOUBT_WORKER        the main function of a background worker
//
// Both are needed.  The shield at the leaf is the one that keeps order: an exception that passes a PG_TRY or a frame of
// PostgreSQL's runs no PG_CATCH on its way.  So hooks that hold a PG_TRY shield what is inside of it as well.  The
// shield around the whole is the last line: it puts PostgreSQL's stacks of handlers back, and a mistake here costs an
// ERROR and not the server.  On the way without exceptions a shield is two loads.
//
// pg::Error must reach a shield, or a Subtransaction that rolls back.  After an ERROR, LWLocks may still be held,
// InterruptHoldoffCount is zero and resources are owned by an aborting transaction: swallowing it corrupts the backend.
//
// `noexcept` says that no exception leaves a function.  PostgreSQL's ERROR may still jump past it.
//
// Covered by test/tap/faults.pl, which throws in each; test/style/boundary says where a shield is missing.
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
// Nothing is initialised before there is a failure: every call would pay for it.
struct Outcome {
  Outcome() noexcept {}  // NOLINT
  ErrorData *edata;
  int sqlstate;
  int line;
  const char *file;
  const char *function;
  char message[240];
  char hint[200];

  void set(ErrorData *raised) noexcept { edata = raised; }
  void set(int code, const char *text, const char *advice = "", SourceLocation thrown = SourceLocation()) noexcept {
    edata = nullptr;
    sqlstate = code;
    file = thrown.file;
    line = thrown.line;
    function = thrown.function;
    strlcpy(message, text, sizeof message);
    strlcpy(hint, advice, sizeof hint);
  }
  [[noreturn, gnu::noinline]] void raise() const {
    report(ERROR);
    pg_unreachable();
  }
  // Returns where `level` is below ERROR.  What PostgreSQL raised stays an ERROR.
  void report(int level) const {
    if (edata != nullptr) ReThrowError(edata);
    if (errstart(level, TEXTDOMAIN)) {
      errcode(sqlstate);
      errmsg_internal("%s", message);
      if (hint[0] != '\0') errhint("%s", hint);
      errhidestmt(true);  // the statement may hold the plaintext that was refused
      errfinish(file, line, function);
    }
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

namespace detail {

// What was thrown and is being handled.  One function for all that are shielded: they are many, and small.
[[gnu::cold, gnu::noinline]] inline void describe_thrown(Outcome &outcome) noexcept {
  try {
    throw;
  } catch (const Error &e) {
    outcome.set(e.edata());
  } catch (const Failure &e) {
    outcome.set(e.sqlstate(), e.what(), e.hint(), e.where());
  } catch (const std::bad_alloc &) {
    outcome.set(ERRCODE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &e) {
    outcome.set(ERRCODE_INTERNAL_ERROR, e.what());
  } catch (...) {
    outcome.set(ERRCODE_INTERNAL_ERROR, "unrecognized C++ exception");
  }
}

// Runs `f`.  False: it threw, and what is in `outcome`; f's frames and the exception are gone, and the handlers are
// what they were.
template <typename F>
[[gnu::always_inline]] inline bool survives(F &&f, Outcome &outcome) {
  sigjmp_buf *const stack = PG_exception_stack;
  ErrorContextCallback *const context = error_context_stack;
  try {
    f();
    return true;
  } catch (...) {
    describe_thrown(outcome);
  }
  PG_exception_stack = stack;
  error_context_stack = context;
  return false;
}

}  // namespace detail

// shield runs `f`, whose result is plain data, and lets no exception out: any failure becomes an ERROR.
template <typename F>
[[gnu::always_inline]] inline auto shield(F &&f) -> std::invoke_result_t<F &> {
  using R = std::invoke_result_t<F &>;
  static_assert(std::is_void_v<R> || std::is_trivially_copyable_v<R>, "return plain data (pointer, Datum, bool...)");
  detail::Outcome outcome;
  if constexpr (std::is_void_v<R>) {
    if (detail::survives(f, outcome)) return;
  } else {
    R result{};
    if (detail::survives([&] { result = f(); }, outcome)) return result;
  }
  outcome.raise();
}

// contain runs `f` where nothing may fail: what it throws becomes a WARNING.
template <typename F>
[[gnu::always_inline]] inline void contain(F &&f, int level = WARNING) {
  static_assert(std::is_void_v<std::invoke_result_t<F &>>);
  detail::Outcome outcome;
  if (!detail::survives(f, outcome)) outcome.report(level);
}

template <Datum (*fn)(FunctionCallInfo)>
inline Datum entry(FunctionCallInfo fcinfo) {
  return shield([fcinfo] { return fn(fcinfo); });
}

// Where a test build throws (test/faults); nothing otherwise.
#ifndef REDOUBT_FAULT_POINT
#define REDOUBT_FAULT_POINT(where)
#endif

namespace detail {

template <auto fn, int level>
struct Shielded;
template <typename R, typename... Arguments, R (*fn)(Arguments...), int level>
struct Shielded<fn, level> {
  [[gnu::hot]] static R call(Arguments... arguments) {
    const auto run = [&]() -> R {
      REDOUBT_FAULT_POINT(__PRETTY_FUNCTION__);
      return fn(arguments...);
    };
    if constexpr (level == ERROR)
      return shield(run);
    else
      contain(run, level);
  }
};

}  // namespace detail

// shielded<fn> is the function to give to PostgreSQL in the place of `fn`.
template <auto fn, int level = ERROR>
inline constexpr auto shielded = detail::Shielded<fn, level>::call;

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

// REDOUBT_WORKER(name) { body } defines the main function of a background worker, of the argument `argument`.
#define REDOUBT_WORKER(name)                                                  \
  extern "C" {                                                                \
  PGDLLEXPORT void name(Datum);                                               \
  static void name##_body(Datum argument);                                    \
  }                                                                           \
  void name(Datum argument) { redoubt::pg::shielded<name##_body>(argument); } \
  static void name##_body([[maybe_unused]] Datum argument)

#endif
