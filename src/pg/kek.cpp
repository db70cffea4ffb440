// kek.cpp - reads the key-encryption key at server start and keeps it.
//
// The key and what derives from it live in one mmap()ed page outside every
// PostgreSQL memory context: locked into memory where the limit allows it,
// excluded from core dumps, inherited by fork, never written again.  Nothing
// here ever puts key material into a message.
// Covered by test/tap/keys.pl: missing, wrong, malformed and readable by others, too.
#include "pg/boundary.h"

#include "core/mac.h"
#include "pg/kek.h"
#include "pg/settings.h"

namespace redoubt::pg {
namespace {

struct KeyPage {
  std::array<std::uint8_t, kKekSize> kek;
  std::array<std::uint8_t, 32> audit_key;
  char fingerprint[kKekFingerprintSize + 1];
};
static_assert(std::is_trivially_destructible_v<KeyPage>);

constinit KeyPage *page = nullptr;  // non-null: the KEK is available
constinit char problem[256] = "neither redoubt.kek_file nor redoubt.kek_command is set";

void explain(const char *what, const char *subject = "") { snprintf(problem, sizeof problem, "%s%s", what, subject); }

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
bool kek_file_acceptable(int fd, const char *path) {
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return explain("redoubt.kek_file is not a regular file"), false;
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return explain("redoubt.kek_file must be owned by the database user or root"), false;
  const mode_t forbidden = st.st_uid == geteuid() ? (S_IRWXG | S_IRWXO) : (S_IWGRP | S_IXGRP | S_IRWXO);
  if ((st.st_mode & forbidden) != 0)
    return explain(
               "redoubt.kek_file has group or world access (it must be 0600 or less, or 0640 or less when owned by "
               "root)"),
           false;
  if (inside_data_directory(path)) return explain("redoubt.kek_file is inside the data directory"), false;
  return true;
}

// Reads at most `out.size()` bytes; returns the count, or -1.
ssize_t read_all(int fd, std::span<std::uint8_t> out) {
  std::size_t got = 0;
  while (got < out.size()) {
    const ssize_t n = read(fd, out.data() + got, out.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(got);
}

bool kek_from_file(SecretBytes<128> &raw, std::size_t &length) {
  const int fd = open(setting_kek_file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return explain("redoubt.kek_file cannot be opened: ", strerror(errno)), false;
  bool ok = kek_file_acceptable(fd, setting_kek_file);
  if (ok) {
    const ssize_t n = read_all(fd, raw.span());
    ok = n >= 0;
    if (ok)
      length = static_cast<std::size_t>(n);
    else
      explain("redoubt.kek_file cannot be read");
  }
  close(fd);
  return ok;
}

bool kek_from_command(SecretBytes<128> &raw, std::size_t &length) {
  FILE *pipe = OpenPipeStream(setting_kek_command, "r");
  if (pipe == nullptr) return explain("redoubt.kek_command cannot be run"), false;
  const ssize_t n = read_all(fileno(pipe), raw.span());
  const int status = ClosePipeStream(pipe);
  if (n < 0 || status != 0) return explain("redoubt.kek_command failed"), false;
  length = static_cast<std::size_t>(n);
  return true;
}

bool derive(KeyPage &keys) {
  static constexpr std::string_view kAuditLabel = "redoubt audit chain v1";
  static constexpr std::string_view kFingerprintLabel = "redoubt kek fingerprint v1";
  const auto mac = [&keys](std::string_view label, std::span<std::uint8_t, 32> out) {
    const std::span<const std::uint8_t> part(reinterpret_cast<const std::uint8_t *>(label.data()), label.size());
    return hmac_sha256(keys.kek, std::span(&part, 1), out);
  };
  std::array<std::uint8_t, 32> digest;
  if (!mac(kAuditLabel, keys.audit_key) || !mac(kFingerprintLabel, digest)) return false;
  for (std::size_t i = 0; i < kKekFingerprintSize / 2; ++i)
    snprintf(keys.fingerprint + 2 * i, 3, "%02x", static_cast<unsigned>(digest[i]));
  return true;
}

bool load() {
  const bool has_file = setting_kek_file[0] != '\0';
  const bool has_command = setting_kek_command[0] != '\0';
  if (!has_file && !has_command) return false;
  if (has_file && has_command) return explain("both redoubt.kek_file and redoubt.kek_command are set"), false;

  SecretBytes<128> raw;
  std::size_t length = 0;
  if (!(has_file ? kek_from_file(raw, length) : kek_from_command(raw, length))) return false;

  void *memory = mmap(nullptr, sizeof(KeyPage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return explain("no memory for the key-encryption key"), false;
  (void)madvise(memory, sizeof(KeyPage), MADV_DONTDUMP);
  (void)mlock(memory, sizeof(KeyPage));  // best effort: RLIMIT_MEMLOCK may be 0
  auto *keys = new (memory) KeyPage{};
  if (!kek_decode(raw.span().first(length), keys->kek)) {
    explain("the key-encryption key is neither 32 bytes nor 64 hex digits");
  } else if (!derive(*keys)) {
    explain("OpenSSL could not derive keys from the key-encryption key");
  } else {
    (void)mprotect(memory, sizeof(KeyPage), PROT_READ);
    page = keys;
    return true;
  }
  OPENSSL_cleanse(memory, sizeof(KeyPage));
  munmap(memory, sizeof(KeyPage));
  return false;
}

}  // namespace

void kek_load() {
  if (load()) return;
  ereport(WARNING, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("redoubt has no key-encryption key: %s", problem),
                    errdetail("Tokens stay readable as tokens; nothing can be tokenized or revealed."),
                    errhint("Set redoubt.kek_file or redoubt.kek_command and restart the server.")));
}

bool kek_available() noexcept { return page != nullptr; }

const char *kek_fingerprint() noexcept { return page != nullptr ? page->fingerprint : ""; }

const char *kek_problem() noexcept { return problem; }

std::span<const std::uint8_t, kKekSize> kek_bytes() noexcept { return page->kek; }

std::span<const std::uint8_t, 32> kek_audit_key() noexcept { return page->audit_key; }

void require_kek() {
  if (page != nullptr) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("redoubt has no key-encryption key: %s", problem),
           errhint("Set redoubt.kek_file or redoubt.kek_command and restart the server."), errhidestmt(true)));
}

}  // namespace redoubt::pg
