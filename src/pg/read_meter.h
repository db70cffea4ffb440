// read_meter.h - charges `read` for rows of protected columns that leave a query.
#ifndef REDOUBT_PG_READ_METER_H
#define REDOUBT_PG_READ_METER_H

#include "pg/boundary.h"

#include "pg/delivery.h"

namespace redoubt::pg {

// What one output column costs per row, charged to one token type.
struct MeteredColumn {
  int attribute;  // 1-based position in the output row
  Oid token_type;
  std::uint16_t count;  // values in one non-null value of the column
  bool is_array;        // count is per element
  bool makes_text;      // an output function of the token type makes text for the reader, and may reveal instead
};

// A lease held on one token type's budget.
struct ReadLease {
  Oid token_type;
  std::uint32_t held;     // charged, not delivered yet
  std::uint32_t next;     // size of the next lease
  TimestampTz leased_at;  // of the last one, for the refund
};

// A destination wrapped around the query's own.  Lives on the hook's C stack.
struct ReadMeter {
  DestReceiver pub;  // first: a DestReceiver * to it is a ReadMeter *
  DestReceiver *inner;
  DeliveryFrame *frame;
  int columns;
  MeteredColumn *column;
  int leases;
  ReadLease *lease;
};

// Wraps query->dest if the query's rows carry protected columns or are handed
// out by a data-modifying query; does nothing otherwise.
void read_meter_attach(ReadMeter *meter, QueryDesc *query, DeliveryFrame *frame);

// Restores query->dest and gives back what was leased but not delivered.  Safe
// while an error is in flight.
void read_meter_detach(ReadMeter *meter, QueryDesc *query) noexcept;

// True if any column of the table is protected, by its type or by a label.
bool relation_is_protected(Oid relid);

}  // namespace redoubt::pg
#endif
