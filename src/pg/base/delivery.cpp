// delivery.cpp - the stack of frames and the rules of implicit reveal.
//
// Invariant: wherever the rules do not say "this text goes to the reader", the
// answer is no, and the output function gives the token.  Backend-local state
// only; the hooks restore it on every exit, errors included.
// Covered by sql/reveal.sql and sql/no_reveal.sql.
#include "pg/base/boundary.h"

#include "pg/base/each.h"
#include "pg/base/compat.h"
#include "pg/base/node_session.h"
#include "pg/base/delivery.h"
#include "pg/base/settings.h"

extern "C" {
#include "replication/logicalworker.h"
#include "tcop/tcopprot.h"
#include "utils/rls.h"
}

namespace redoubt::pg {
namespace {

// Of each function of the server's own: is it one that prints definitions?
enum class Prints : std::uint8_t { unknown, no, definitions };

struct State {
  bool dump_session;
  const PortalData *paid;  // the portal that prints rows of a held cursor
  Prints prints[FirstNormalObjectId];
};
constinit State state = {};

bool parent_veto() noexcept { return delivery_innermost != nullptr && delivery_innermost->veto; }

// Asked for every query: tells at the first letter that differs.
bool is_dump(const char *name) noexcept {
  constexpr std::string_view kDump("pg_dump\0", 8);
  return std::mismatch(kDump.begin(), kDump.end(), name).first == kDump.end();
}

// A reader that reconstructs rows from what it is told must see tokens: a dump,
// a replica, a logical decoding plug-in; another node, which reveals them itself.
bool replicating() noexcept {
  return state.dump_session || am_walsender || HistoricSnapshotActive() || node_session() ||
         (application_name != nullptr && is_dump(application_name));
}

// A cursor that outlived its transaction: its rows were stored at COMMIT.
bool is_stored_cursor(const char *name) noexcept {
  const PortalData *portal = name != nullptr ? GetPortalByName(name) : nullptr;
  return portal != nullptr && portal->holdStore != nullptr && (portal->cursorOptions & CURSOR_OPT_HOLD) != 0 &&
         portal->createSubid == InvalidSubTransactionId;
}

bool writes(CommandDest dest) noexcept { return dest == DestIntoRel || dest == DestTransientRel; }

}  // namespace

void Readers::note() noexcept {
  const Oid user = GetUserId();
  mixed_ |= OidIsValid(user_) && (user_ != user || reveal_ != setting_reveal);
  user_ = user;
  reveal_ = setting_reveal;
}

bool Readers::differ() const noexcept {
  return OidIsValid(user_) && (mixed_ || user_ != GetUserId() || reveal_ != setting_reveal);
}

bool delivery_note_token() noexcept {
  if (delivery_innermost == nullptr) return false;
  delivery_innermost->printed.note();
  return delivery_innermost->left.differ();
}

void delivery_note_function(Oid function) {
  if (function >= FirstNormalObjectId) return;
  if (state.prints[function] == Prints::unknown) {
    const char *name = get_func_name(function);
    if (name == nullptr) return;
    state.prints[function] = strncmp(name, "pg_get_", 7) == 0 ? Prints::definitions : Prints::no;
  }
  delivery_calls_definition |= state.prints[function] == Prints::definitions;
}

[[gnu::hot]] bool delivery_shows_tokens(const PlannedStmt *plan) {
  for (const Oid relid : oids_of(plan->relationOids)) {
    if (relid == StatisticRelationId || relid == StatisticExtDataRelationId) return true;
  }
  return false;
}

[[gnu::hot]] DeliveryFrame delivery_frame_query(const QueryDesc *query, bool shows_tokens) {
  const CommandDest dest = query->dest->mydest;
  const bool reads_only = query->operation == CMD_SELECT && !query->plannedstmt->hasModifyingCTE;
  // EXPLAIN ANALYZE and rules' extra queries deliver to nobody (DestNone), nor does
  // a function that no statement called: it is a deferred trigger's, at COMMIT.
  const bool at_commit = delivery_innermost == nullptr && (dest == DestSPI || dest == DestSQLFunction);
  const bool nobody = writes(dest) || dest == DestNone || at_commit;
  if (delivery_innermost == nullptr) state.paid = nullptr;
  DeliveryFrame frame = {delivery_innermost, true, false, false, at_commit ? nullptr : delivery_portal(), false,
                         query->plannedstmt};
  frame.veto = parent_veto() || !reads_only || nobody || shows_tokens;
  frame.evaluates = !frame.veto;
  return frame;
}

DeliveryFrame delivery_frame_utility(const Node *statement) {
  if (delivery_innermost == nullptr) state.paid = nullptr;
  bool hands_on = false;
  bool takes_tokens = false;
  bool passes_on = false;  // runs queries whose rows go to the reader; DO returns none
  switch (nodeTag(statement)) {
    case T_FetchStmt:
      if (delivery_innermost == nullptr && is_stored_cursor(reinterpret_cast<const FetchStmt *>(statement)->portalname))
        state.paid = ActivePortal;
      [[fallthrough]];
    case T_ExecuteStmt:
      hands_on = passes_on = true;
      break;
    case T_CallStmt:
    case T_DeclareCursorStmt:
    case T_PrepareStmt:
      passes_on = true;
      break;
    case T_CopyStmt: {
      // COPY (query) reveals as the query would; COPY table shows tokens, also
      // where it is rewritten to a query for metering.
      const auto *copy = reinterpret_cast<const CopyStmt *>(statement);
      passes_on = !copy->is_from && copy->relation == nullptr;
      takes_tokens = copy->is_from;  // what COPY table shows
      break;
    }
    default:
      break;
  }
  DeliveryFrame frame = {delivery_innermost, parent_veto() || !passes_on, false, false, delivery_portal(), hands_on};
  frame.takes_tokens = takes_tokens;
  frame.plans = IsA(statement, ExplainStmt) || IsA(statement, DeclareCursorStmt) || IsA(statement, CreateTableAsStmt);
  return frame;
}

bool delivery_takes_tokens() noexcept {
  // The scripts of dumps turn row security off, and applications do not.
  return (delivery_innermost != nullptr && delivery_innermost->takes_tokens) || IsLogicalWorker() || !row_security;
}

bool delivery_given_by_client(const FmgrInfo *input) noexcept {
  if (delivery_takes_tokens() || debug_query_string == nullptr) return false;  // a call by the fast path has no text
  if (delivery_innermost != nullptr || ActivePortal != nullptr) return false;
  // The parser and Bind have a callback for errors each, and may be at work for the other.  A function that is parsed
  // has one of its language and one of SPI or of its own beside the parser's.
  const ErrorContextCallback *callback = error_context_stack;
  for (int depth = 0; depth < 2 && callback != nullptr; ++depth) callback = callback->previous;
  if (error_context_stack == nullptr || callback != nullptr) return false;
  // Both have the FmgrInfo on the stack; the input functions of arrays, rows and domains keep those of what is in them.
  const auto *here = static_cast<const char *>(__builtin_frame_address(0));
  const auto distance = reinterpret_cast<const char *>(input) - here;
  return distance > 0 && distance < 16 * 1024;
}

bool delivery_copies_in() noexcept {
  return delivery_innermost != nullptr && delivery_innermost->takes_tokens && !IsLogicalWorker() && row_security;
}

void delivery_mark_dump() noexcept { state.dump_session = true; }

bool delivery_to_reader() noexcept {
  if (replicating()) return false;
  if (delivery_ending) return false;
  if (const DeliveryFrame *frame = delivery_innermost)
    return frame->evaluates || (frame->delivering && !(frame->parent != nullptr && frame->parent->veto));
  return delivery_from_store();
}

// At that moment the portal is running, its store exists and no snapshot is
// active any more; all else that prints values between queries (logging of
// parameters, auto_explain at the end of the query, EXPLAIN) either has no such
// portal or a snapshot.
bool delivery_from_store() noexcept {
  return delivery_innermost == nullptr && ActivePortal != nullptr && ActivePortal->status == PORTAL_ACTIVE &&
         ActivePortal->holdStore != nullptr && !ActiveSnapshotSet();
}

// Cursors that functions open have names, and so have those a COMMIT stores.
bool delivery_store_is_printed(const DeliveryFrame *frame) noexcept {
  if (frame->parent != nullptr) return frame->parent->parent == nullptr && frame->parent->hands_on;
  return ActivePortal != nullptr && ActivePortal->name[0] == '\0';
}

bool delivery_store_is_paid() noexcept { return state.paid != nullptr && state.paid == ActivePortal; }

bool delivery_makes_text(const QueryDesc *query) noexcept {
  if (replicating() || parent_veto()) return false;
  switch (query->dest->mydest) {
    case DestRemote:
    case DestRemoteExecute:
    case DestRemoteSimple:
    case DestCopyOut:
      return true;
    default:
      return false;
  }
}

}  // namespace redoubt::pg
