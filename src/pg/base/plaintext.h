// plaintext.h - where a backend keeps plaintext between the steps of one call.
//
// What it is: buffers that are kept from one value to the next, so that a value costs no allocation and no destructor
// is pending when PostgreSQL raises; and copies in memory of PostgreSQL's.
// Invariant: however a transaction ends, the buffers hold no plaintext afterwards, and copies are wiped before
// PostgreSQL frees their memory.  So nothing that uses them wipes anything itself.
// Locks: none.  Covered by sql/plaintext.sql.
#ifndef REDOUBT_PG_BASE_PLAINTEXT_H
#define REDOUBT_PG_BASE_PLAINTEXT_H

#include "pg/base/boundary.h"

#include "core/format_batch.h"

namespace redoubt::pg {

// The two steps of a call: the value, normalised; what a format makes of a value or of a token.  And the two values
// that an index compares.
enum class PlaintextStep : std::uint8_t { value, result, left, right };

// plaintext_buffer returns the buffer of a step, empty, with room for `size` bytes.  What fits into it leaves no copy
// behind.  The next call for this step overwrites it.
std::string &plaintext_buffer(PlaintextStep step, std::size_t size);

// plaintext_kept returns what the buffer of a step holds; empty once it was wiped.
std::string_view plaintext_kept(PlaintextStep step) noexcept;

// plaintext_batch is the same for many values at once.
FormatBatch &plaintext_batch();

// plaintext_room returns room for a value of `size` bytes, of that size, in the current memory context, which wipes it
// when it is reset or deleted: not to be freed before.  plaintext_copy puts a value there.
bytea *plaintext_room(std::size_t size);
bytea *plaintext_copy(std::span<const std::uint8_t> value);

// What the module is told by events.h: the end of a transaction wipes the buffers.
void plaintext_transaction(XactEvent event);

}  // namespace redoubt::pg
#endif
