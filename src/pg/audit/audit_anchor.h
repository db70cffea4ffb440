// audit_anchor.h - the head of the trail, signed, to redoubt.anchor_command every so often.
//
// What is sent elsewhere cannot be taken back: whoever rewrites or cuts the trail afterwards, the KEK in hand or not,
// contradicts it.  The worker of the trail sends it, so a command that hangs or fails holds up nothing else.
// Locks: none.  Covered by test/tap/audit_anchor.pl.
#ifndef REDOUBT_PG_AUDIT_AUDIT_ANCHOR_H
#define REDOUBT_PG_AUDIT_AUDIT_ANCHOR_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// For the worker: sends an anchor where one is due and the trail has moved on in `segment`; those before it have been
// signed, as whoever verifies an anchor expects.  Raises 58030 where the trail cannot be
// flushed; what goes wrong with the command is logged.
void audit_anchor_send(std::uint64_t segment);

// By status(); 0: never since the server started.
struct AuditAnchorState {
  TimestampTz sent_at;
  TimestampTz failed_at;  // 0 too once one was sent again
};
AuditAnchorState audit_anchor_state() noexcept;

Size audit_anchor_shmem_size();
void audit_anchor_shmem_startup();

}  // namespace redoubt::pg
#endif
