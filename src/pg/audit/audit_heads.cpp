// audit_heads.cpp - see audit_heads.h.
// Frames here hold plain data only, so PostgreSQL may raise anywhere.
// Covered by test/tap/audit_heads.pl.
#include "pg/base/boundary.h"

#include "pg/audit/audit_archive.h"
#include "pg/audit/audit_context.h"
#include "pg/audit/audit_directory.h"
#include "pg/audit/audit_files.h"
#include "pg/audit/audit_heads.h"
#include "pg/audit/audit_packed.h"
#include "pg/audit/audit_server.h"
#include "pg/audit/audit_trail.h"
#include "pg/audit/kek.h"
#include "pg/base/settings.h"

extern "C" {
#include <sys/file.h>
}

namespace redoubt::pg {
namespace {

AuditPath heads_path() noexcept { return audit_path_beside("heads.jsonl"); }

bool ours(const AuditSignedHead &head) noexcept {
  const auto key = kek_public_key();
  return std::equal(key.begin(), key.end(), head.public_key.begin());
}

void append(int fd, const AuditArchived &segment, bool archived) {
  AuditSignedHead head;
  head.segment = segment;
  head.segment.archived_ms = audit_context_time_ms(GetCurrentTimestamp());
  head.archived = archived;
  head.server = audit_server_id();
  head.cluster = audit_server_cluster();
  char line[kAuditSignedMax];
  const Result<std::size_t> size = audit_head_encode(kek_signing_seed(), head, line);
  if (!size.ok())
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not sign a segment of the audit trail"),
                    errhint("Check the server's OpenSSL configuration."), errhidestmt(true)));
  audit_append_line(fd, heads_path().text, {line, *size});
}

void read_places(int fd, AuditHeadPlaces &places) {
  std::size_t room = 0;
  std::uint64_t offset = 0;
  AuditLineReader reader(fd);
  std::string_view line;
  AuditLineReader::Kind kind;
  while ((kind = reader.next(line)) == AuditLineReader::Kind::line) {
    CHECK_FOR_INTERRUPTS();
    const Result<AuditSignedHead> head = audit_head_parse(line);
    if (head.ok() && ours(*head)) {
      audit_make_room(places.places, places.count, room);
      places.places[places.count++] = {head->segment.segment, offset, line.size(), head->archived};
    }
    offset = reader.consumed();
  }
  if (kind == AuditLineReader::Kind::error) audit_file_failed("read", heads_path().text);
  std::sort(places.places, places.places + places.count,
            [](const auto &a, const auto &b) { return a.segment < b.segment; });
  places.read = true;
}

const AuditHeadPlaces::Place *first_place(const AuditHeadPlaces &places, std::uint64_t segment) noexcept {
  return std::lower_bound(
      places.places, places.places + places.count, segment,
      [](const AuditHeadPlaces::Place &place, std::uint64_t sought) { return place.segment < sought; });
}

// Has the segment a head that this server's key signed, or, where `archived`, one that says that it was archived?
bool has(const AuditHeadPlaces &places, std::uint64_t segment, bool archived) noexcept {
  for (const AuditHeadPlaces::Place *place = first_place(places, segment);
       place != places.places + places.count && place->segment == segment; ++place)
    if (place->archived || !archived) return true;
  return false;
}

// None before anything is written.
std::span<const std::uint64_t> closed_segments() {
  AuditPosition position;
  if (audit_position(position, false) != 0) return {};
  return audit_segments_before(position.head.segment);
}

// Opens the file, keeps others from writing to it, and reads which heads it has.
int lock_heads(AuditHeadPlaces &places) {
  const AuditPath path = heads_path();
  const int fd = audit_open_regular(path.text, O_RDWR | O_CREAT, "open");
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) audit_file_failed("lock", path.text);
  read_places(fd, places);
  return fd;
}

}  // namespace

void audit_heads_sign() {
  AuditHeadPlaces done;
  const int fd = lock_heads(done);
  for (const std::uint64_t closed : closed_segments()) {
    CHECK_FOR_INTERRUPTS();
    if (has(done, closed, false)) continue;
    const int segment = audit_segment_open(closed);
    if (segment < 0) continue;  // archived at this moment
    AuditArchived entry;
    entry.segment = closed;
    entry.bytes = audit_copy(segment, -1, audit_path(closed).text, "", entry.sha256);
    audit_examine(segment, audit_path(closed).text, entry);
    CloseTransientFile(segment);
    // Of a key that is not there nothing can be said, and what is damaged may be put back.
    if (entry.verified && entry.breaks == 0) append(fd, entry, false);
  }
  const AuditArchivedList archived = audit_archived_list();
  for (std::size_t i = 0; i < archived.count; ++i) {
    const AuditArchived &entry = archived.entries[i];
    const bool first = i == 0 || archived.entries[i - 1].segment != entry.segment;
    if (first && entry.verified && !has(done, entry.segment, true)) append(fd, entry, true);
  }
  CloseTransientFile(fd);
}

void audit_heads_pack() {
  AuditHeadPlaces done;
  const int fd = lock_heads(done);
  for (const std::uint64_t closed : closed_segments()) {
    CHECK_FOR_INTERRUPTS();
    if (!has(done, closed, false)) continue;
    const int segment = audit_open_regular(audit_path(closed).text, O_RDONLY, "open");
    if (segment < 0) continue;  // packed, or archived at this moment
    audit_pack(closed, segment);
    CloseTransientFile(segment);
  }
  CloseTransientFile(fd);
}

bool audit_heads_vouch(AuditHeadPlaces &places, int fd, std::uint64_t segment, const AuditHead &found,
                       std::uint64_t &records) {
  const AuditPath path = heads_path();
  const int heads = audit_open_regular(path.text, O_RDONLY, "open");
  if (heads < 0) return false;
  if (!places.read) read_places(heads, places);
  bool good = false;
  for (const AuditHeadPlaces::Place *place = first_place(places, segment);
       !good && place != places.places + places.count && place->segment == segment; ++place) {
    char line[kAuditSignedMax];
    const ssize_t got = pread(heads, line, place->size, static_cast<off_t>(place->offset));
    if (got < 0) audit_file_failed("read", path.text);
    const std::string_view text(line, static_cast<std::size_t>(got));
    const Result<AuditSignedHead> head = audit_head_parse(text);
    if (!head.ok() || head->segment.segment != segment || !head->segment.verified || head->segment.breaks != 0 ||
        !audit_signed_by(kek_public_key(), text))
      continue;
    std::array<std::uint8_t, 32> digest;
    const std::uint64_t bytes = audit_copy(fd, -1, audit_path(segment).text, "", digest);
    good = digest == head->segment.sha256 && bytes == head->segment.bytes &&
           head->segment.last_sequence == found.sequence && head->segment.last_mac == found.mac;
    records = head->segment.records;
  }
  CloseTransientFile(heads);
  return good;
}

}  // namespace redoubt::pg

// redoubt.audit_public_key() -> text
REDOUBT_FUNCTION(redoubt_audit_public_key) {
  using namespace redoubt;
  using namespace redoubt::pg;
  require_kek();
  AuditMac key;
  const auto bytes = kek_public_key();
  std::copy(bytes.begin(), bytes.end(), key.begin());
  const auto hex = audit_mac_hex(key);
  return PointerGetDatum(cstring_to_text_with_len(hex.data(), static_cast<int>(hex.size())));
}
