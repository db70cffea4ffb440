// kek.cpp - reads the key-encryption key, and the previous one, at server start or when it is told to, and keeps them.
//
// A key and what derives from it live in mmap()ed memory outside every PostgreSQL memory context: locked into memory
// where the limit allows it, excluded from core dumps, shared by fork, read-only but while a key is added.  A key that
// was added is never changed, so who reads one needs no lock; which two are in use is one atomic word.  Nothing here
// ever puts key material into a message.
// Covered by test/tap/reload_kek.pl, test/tap/kek_command.pl (a command that does not end), and by test/tap/keys.pl:
// missing, wrong, malformed and readable by others, too.
#include <atomic>

#include "pg/base/boundary.h"

#include "core/ed25519.h"
#include "core/mac.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"
#include "pg/base/shell_command.h"
#include "pg/base/whole_io.h"

extern "C" {
#include <poll.h>
#include <sys/wait.h>
}

namespace redoubt::pg {
namespace {

struct KeyPage {
  std::array<std::uint8_t, kKekSize> kek;
  std::array<std::uint8_t, 32> audit_key;
  std::array<std::uint8_t, 32> signing_seed;
  std::array<std::uint8_t, 32> public_key;
  char fingerprint[kKekFingerprintSize + 1];
};
static_assert(std::is_trivially_destructible_v<KeyPage>);

constexpr std::size_t kProblemSize = 256;

// What all processes share.  Keys are numbered from 1.
struct SharedKeys {
  std::atomic<std::uint32_t> in_use;   // the number of the current one, and 256 times that of the previous one; 0: none
  std::atomic<std::uint32_t> writing;  // a process adds a key
  std::atomic<std::uint32_t> size;
  KeyPage page[kMaxKeks];
  char problem[2][kProblemSize];  // by KekRole; may be read while it is written: a text, and ends in any case
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

constinit SharedKeys *shared = nullptr;  // as all processes see it; null: there was no memory

struct Slot {
  const char *file_setting;
  const char *command_setting;
  char problem[kProblemSize];
};
constinit Slot slots[] = {
    {"redoubt.kek_file", "redoubt.kek_command", "neither redoubt.kek_file nor redoubt.kek_command is set"},
    {"redoubt.previous_kek_file", "redoubt.previous_kek_command", ""},
};
constexpr const char *kUnset[] = {"neither redoubt.kek_file nor redoubt.kek_command is set", ""};

Slot &slot_of(KekRole role) noexcept { return slots[static_cast<std::size_t>(role)]; }

const KeyPage *page_of(std::uint32_t number) noexcept {
  return shared != nullptr && number > 0 ? &shared->page[number - 1] : nullptr;
}
const KeyPage *page_of(KekRole role) noexcept { return page_of(kek_number(role)); }

// Keeps the problem with a setting, or with no one in particular.
void explain(Slot &slot, const char *setting, const char *what, const char *subject = "") {
  snprintf(slot.problem, sizeof slot.problem, "%s%s%s%s", setting, setting[0] != '\0' ? " " : "", what, subject);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// kek_decode accepts exactly 32 raw bytes, or 64 hex digits with an optional line end.
bool kek_decode(std::span<const std::uint8_t> raw, std::span<std::uint8_t, kKekSize> out) {
  if (raw.size() == kKekSize) {
    std::copy(raw.begin(), raw.end(), out.begin());
    return true;
  }
  std::size_t length = raw.size();
  while (length > 2 * kKekSize && (raw[length - 1] == '\n' || raw[length - 1] == '\r')) --length;
  if (length != 2 * kKekSize) return false;
  for (std::size_t i = 0; i < kKekSize; ++i) {
    const int high = hex_digit(static_cast<char>(raw[2 * i]));
    const int low = hex_digit(static_cast<char>(raw[2 * i + 1]));
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

// True also where that cannot be found out.
bool inside_data_directory(const char *path) {
  char *const file = realpath(path, nullptr);
  char *const data = realpath(DataDir, nullptr);
  bool inside = true;
  if (file != nullptr && data != nullptr) {
    const std::size_t length = strlen(data);
    inside = strncmp(file, data, length) == 0 && (file[length] == '/' || file[length] == '\0');
  }
  free(file);
  free(data);
  return inside;
}

// The rules PostgreSQL applies to its TLS private key: a regular file, owned by
// the server's user (mode 0600 or less) or by root (0640 or less).  Plus ours:
// not inside the data directory, which backups and base copies carry away.
bool kek_file_acceptable(Slot &slot, int fd, const char *path) {
  const auto refuse = [&slot](const char *what) { return explain(slot, slot.file_setting, what), false; };
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return refuse("is not a regular file");
  if (st.st_uid != geteuid() && st.st_uid != 0) return refuse("must be owned by the database user or root");
  const mode_t forbidden = st.st_uid == geteuid() ? (S_IRWXG | S_IRWXO) : (S_IWGRP | S_IXGRP | S_IRWXO);
  if ((st.st_mode & forbidden) != 0)
    return refuse("has group or world access (it must be 0600 or less, or 0640 or less when owned by root)");
  if (inside_data_directory(path)) return refuse("is inside the data directory");
  return true;
}

bool kek_from_file(Slot &slot, const char *path, SecretBytes<128> &raw, std::size_t &length) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe is refused, not waited for
  if (fd < 0) return explain(slot, slot.file_setting, "cannot be opened: ", strerror(errno)), false;
  bool ok = kek_file_acceptable(slot, fd, path);
  if (ok) {
    length = read_up_to(fd, raw.span().data(), raw.span().size());
    ok = errno == 0;
    if (!ok) explain(slot, slot.file_setting, "cannot be read");
  }
  close(fd);
  return ok;
}

// The signals that ask the postmaster to stop.  While a command runs they are blocked, as PostgreSQL 15 has them
// anyway, and looked for; afterwards they do what they are there for.
class StopSignals {
 public:
  StopSignals() noexcept {
    sigemptyset(&stop_);
    for (const int signal : {SIGTERM, SIGINT, SIGQUIT}) sigaddset(&stop_, signal);
    sigprocmask(SIG_BLOCK, &stop_, &before_);
  }
  ~StopSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  StopSignals(const StopSignals &) = delete;
  StopSignals &operator=(const StopSignals &) = delete;

  // Once asked to stop, the process is stopping: from PostgreSQL 16 on the signal is taken after the first command.
  // In a session they end the command alone.
  static bool pending() noexcept {
    static constinit bool stopping = false;
    sigset_t waiting;
    stopping &= !IsUnderPostmaster;
    stopping |=
        sigpending(&waiting) == 0 && (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1 ||
                                      sigismember(&waiting, SIGQUIT) == 1);
    return stopping;
  }

 private:
  sigset_t stop_, before_;
};

// How a command that was waited for came to its end.
enum class Ending : std::uint8_t { exited, timed_out, stopped };

constexpr int kPollMs = 20;

// Waits for the command's output and its end, until the time is over or the server is to stop; then its process group
// is killed.  `status` is what waitpid() says; `in` is closed.
Ending await_command(pid_t pid, int in, std::span<std::uint8_t> out, std::size_t &length, int &status) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const time_t deadline = now.tv_sec + setting_kek_command_timeout;
  Ending ending = Ending::exited;
  const auto finish = [&in] {
    if (in >= 0) close(in);
    in = -1;
  };
  length = 0;
  while (true) {
    pollfd wait = {in, POLLIN, 0};
    if (poll(&wait, 1, kPollMs) > 0) {
      const ssize_t n = read(in, out.data() + length, out.size() - length);
      if (n > 0)
        length += static_cast<std::size_t>(n);
      else if (n == 0 || errno != EINTR)
        finish();
      if (length == out.size()) finish();  // more is no key
    }
    // What it printed before its end is read first.
    if (in < 0 && waitpid(pid, &status, WNOHANG) == pid) return ending;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (StopSignals::pending())
      ending = Ending::stopped;
    else if (now.tv_sec >= deadline)
      ending = Ending::timed_out;
    if (ending != Ending::exited) break;
  }
  finish();
  shell_kill(pid);
  return ending;
}

bool kek_from_command(Slot &slot, const char *command, SecretBytes<128> &raw, std::size_t &length) {
  const auto refuse = [&slot](const char *what, const char *subject = "") {
    return explain(slot, slot.command_setting, what, subject), false;
  };
  const StopSignals blocked;
  if (StopSignals::pending()) return refuse("was not run because the server is to stop");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return refuse("cannot be run: ", strerror(errno));
  const pid_t pid = shell_start(command, -1, ends[1]);
  close(ends[1]);
  int status = 0;
  if (pid <= 0) {
    close(ends[0]);
    return refuse("cannot be run");
  }
  const Ending ending = await_command(pid, ends[0], raw.span(), length, status);
  char number[32];
  snprintf(number, sizeof number, "%d s and was killed", setting_kek_command_timeout);
  if (ending == Ending::timed_out) return refuse("did not end within ", number);
  if (ending == Ending::stopped)
    return refuse(IsUnderPostmaster ? "was cancelled" : "was killed because the server is to stop");
  if (WIFSIGNALED(status)) {
    snprintf(number, sizeof number, "%d", WTERMSIG(status));
    return refuse("failed with signal ", number);
  }
  snprintf(number, sizeof number, "%d", WEXITSTATUS(status));
  return status == 0 || refuse("failed with exit status ", number);
}

bool derive(KeyPage &keys) {
  static constexpr std::string_view kAuditLabel = "redoubt audit chain v1";
  static constexpr std::string_view kSignatureLabel = "redoubt audit signature v1";
  static constexpr std::string_view kFingerprintLabel = "redoubt kek fingerprint v1";
  const auto mac = [&keys](std::string_view label, std::span<std::uint8_t, 32> out) {
    const std::span<const std::uint8_t> part(reinterpret_cast<const std::uint8_t *>(label.data()), label.size());
    return hmac_sha256(keys.kek, std::span(&part, 1), out);
  };
  std::array<std::uint8_t, 32> digest;
  if (!mac(kAuditLabel, keys.audit_key) || !mac(kSignatureLabel, keys.signing_seed) ||
      !ed25519_public_key(keys.signing_seed, keys.public_key) || !mac(kFingerprintLabel, digest))
    return false;
  for (std::size_t i = 0; i < kKekFingerprintSize / 2; ++i)
    snprintf(keys.fingerprint + 2 * i, 3, "%02x", static_cast<unsigned>(digest[i]));
  return true;
}

// Tells why not by the slot's problem.
bool load(KekRole role, const char *file, const char *command, KeyPage &keys) {
  Slot &slot = slot_of(role);
  strlcpy(slot.problem, kUnset[static_cast<std::size_t>(role)], sizeof slot.problem);
  const bool has_file = file[0] != '\0';
  const bool has_command = command[0] != '\0';
  if (!has_file && !has_command) return false;
  if (has_file && has_command) {
    snprintf(slot.problem, sizeof slot.problem, "both %s and %s are set", slot.file_setting, slot.command_setting);
    return false;
  }
  SecretBytes<128> raw;
  std::size_t length = 0;
  if (!(has_file ? kek_from_file(slot, file, raw, length) : kek_from_command(slot, command, raw, length))) return false;
  if (!kek_decode(raw.span().first(length), keys.kek)) {
    explain(slot, "", "the key-encryption key is neither 32 bytes nor 64 hex digits");
  } else if (std::all_of(keys.kek.begin(), keys.kek.end(), [](std::uint8_t byte) { return byte == 0; })) {
    explain(slot, "", "the key-encryption key is nothing but zeros");
  } else if (!derive(keys)) {
    explain(slot, "", "OpenSSL could not derive keys from the key-encryption key");
  } else {
    return true;
  }
  return false;
}

// What was read of the two settings, wiped at the end.
struct Loaded {
  KeyPage page[2] = {};
  bool there[2] = {};

  Loaded() {
    there[0] = load(KekRole::current, setting_kek_file, setting_kek_command, page[0]);
    there[1] = load(KekRole::previous, setting_previous_kek_file, setting_previous_kek_command, page[1]);
  }
  ~Loaded() { OPENSSL_cleanse(page, sizeof page); }
  Loaded(const Loaded &) = delete;
  Loaded &operator=(const Loaded &) = delete;

  bool has(const char *fingerprint) const noexcept {
    return (there[0] && strcmp(page[0].fingerprint, fingerprint) == 0) ||
           (there[1] && strcmp(page[1].fingerprint, fingerprint) == 0);
  }
};

bool map_keys() {
  void *memory = mmap(nullptr, sizeof(SharedKeys), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  (void)madvise(memory, sizeof(SharedKeys), MADV_DONTDUMP);
  (void)mlock(memory, sizeof(SharedKeys));  // best effort: RLIMIT_MEMLOCK may be 0
  shared = new (memory) SharedKeys{};
  return true;
}

// The number of a key, which is added if it is not there; 0 where there is no room.
std::uint32_t number_of(const KeyPage &page) noexcept {
  const std::uint32_t size = shared->size.load();
  for (std::uint32_t i = 0; i < size; ++i)
    if (strcmp(shared->page[i].fingerprint, page.fingerprint) == 0) return i + 1;
  if (size == kMaxKeks) return 0;
  shared->page[size] = page;
  shared->size.store(size + 1);
  return size + 1;
}

// False: another process is at it, or there is no room.
bool publish(const Loaded &loaded) noexcept {
  std::uint32_t nobody = 0;
  (void)mprotect(shared, sizeof(SharedKeys), PROT_READ | PROT_WRITE);
  bool done = shared->writing.compare_exchange_strong(nobody, 1);
  if (done) {
    const std::uint32_t current = loaded.there[0] ? number_of(loaded.page[0]) : 0;
    const std::uint32_t previous = loaded.there[1] ? number_of(loaded.page[1]) : 0;
    done = (current != 0) == loaded.there[0] && (previous != 0) == loaded.there[1];
    if (done) {
      for (const KekRole role : {KekRole::current, KekRole::previous})
        strlcpy(shared->problem[static_cast<std::size_t>(role)], slot_of(role).problem, kProblemSize);
      shared->in_use.store(current | previous << 8U);
    }
    shared->writing.store(0);
  }
  (void)mprotect(shared, sizeof(SharedKeys), PROT_READ);
  return done;
}

// The path, for the server log alone; clients are not told where the key is.
const char *path_detail(const Slot &slot, const char *file) {
  return file[0] != '\0' ? psprintf(" %s is \"%s\".", slot.file_setting, file) : "";
}

}  // namespace

void kek_load() {
  if (!map_keys()) {
    ereport(WARNING,
            (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("redoubt has no key-encryption key: there is no memory for it")));
    return;
  }
  {
    const Loaded loaded;
    (void)publish(loaded);
  }
  if (!kek_available())
    ereport(WARNING, (errcode(ERRCODE_CONFIG_FILE_ERROR),
                      errmsg("redoubt has no key-encryption key: %s", kek_problem(KekRole::current)),
                      errdetail("Tokens stay readable as tokens; nothing can be tokenized or revealed.%s",
                                path_detail(slot_of(KekRole::current), setting_kek_file)),
                      errhint("Set redoubt.kek_file or redoubt.kek_command and restart the server.")));
  if (!kek_available(KekRole::previous) && kek_problem(KekRole::previous)[0] != '\0')
    ereport(WARNING, (errcode(ERRCODE_CONFIG_FILE_ERROR),
                      errmsg("redoubt has no previous key-encryption key: %s", kek_problem(KekRole::previous)),
                      errdetail("Data keys that it wraps cannot be used.%s",
                                path_detail(slot_of(KekRole::previous), setting_previous_kek_file))));
}

KekReload kek_reload(bool keep_previous) {
  const Loaded loaded;
  KekReload result = {KekReloadOutcome::done, ""};
  const auto refuse = [&result](KekReloadOutcome outcome, const char *what) {
    result.outcome = outcome;
    strlcpy(result.problem, what, sizeof result.problem);
    return result;
  };
  if (!loaded.there[0]) return refuse(KekReloadOutcome::unreadable, slot_of(KekRole::current).problem);
  if (!loaded.there[1] && slot_of(KekRole::previous).problem[0] != '\0')
    return refuse(KekReloadOutcome::unreadable, slot_of(KekRole::previous).problem);
  if (kek_available() && !loaded.has(kek_fingerprint())) return refuse(KekReloadOutcome::lost, kek_fingerprint());
  if (keep_previous && kek_available(KekRole::previous) && !loaded.has(kek_fingerprint(KekRole::previous)))
    return refuse(KekReloadOutcome::lost, kek_fingerprint(KekRole::previous));
  if (shared == nullptr || !publish(loaded)) return refuse(KekReloadOutcome::busy, "");
  return result;
}

std::uint32_t kek_number(KekRole role) noexcept {
  if (shared == nullptr) return 0;
  const std::uint32_t in_use = shared->in_use.load();
  return role == KekRole::current ? in_use & 0xffU : in_use >> 8U;
}

bool kek_available(KekRole role) noexcept { return kek_number(role) != 0; }

const char *kek_fingerprint(KekRole role) noexcept { return kek_fingerprint_of(kek_number(role)); }

const char *kek_fingerprint_of(std::uint32_t number) noexcept {
  const KeyPage *page = page_of(number);
  return page != nullptr ? page->fingerprint : "";
}

const char *kek_problem(KekRole role) noexcept {
  return shared != nullptr ? shared->problem[static_cast<std::size_t>(role)] : "there is no memory for it";
}

std::span<const std::uint8_t> kek_bytes(const char *fingerprint) noexcept {
  for (const KekRole role : {KekRole::current, KekRole::previous}) {
    const KeyPage *page = page_of(role);
    if (page != nullptr && strcmp(page->fingerprint, fingerprint) == 0) return page->kek;
  }
  return {};
}

std::span<const std::uint8_t, 32> kek_audit_key(std::uint32_t number) noexcept { return page_of(number)->audit_key; }

std::span<const std::uint8_t, 32> kek_signing_seed(KekRole role) noexcept { return page_of(role)->signing_seed; }

std::span<const std::uint8_t, 32> kek_public_key(KekRole role) noexcept { return page_of(role)->public_key; }

void require_kek() {
  if (kek_available()) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("redoubt has no key-encryption key: %s", kek_problem()),
                  errhint("Set redoubt.kek_file or redoubt.kek_command and restart the server."), errhidestmt(true)));
}

}  // namespace redoubt::pg
