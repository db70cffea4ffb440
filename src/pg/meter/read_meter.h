// read_meter.h - charges the rows that leave a query, and says which values their output will charge instead.
//
// What else a query tells is charged by query_meter.h, what leaves in the middle of a plan by meter_function.h.
#ifndef REDOUBT_PG_METER_READ_METER_H
#define REDOUBT_PG_METER_READ_METER_H

#include "pg/base/boundary.h"

#include "pg/base/delivery.h"
#include "pg/meter/query_meter.h"

namespace redoubt::pg {

// A destination wrapped around the query's own.  Lives on the hook's C stack.
struct ReadMeter {
  DestReceiver pub;  // first: a DestReceiver * to it is a ReadMeter *
  DestReceiver *inner;
  DeliveryFrame *frame;
  MemoryContext row;  // of the masked row at hand; null until there is one
  QueryMeter *query;  // null where its plan touches nothing protected
};

// Wraps query->dest if the query's rows carry protected values or are handed out by a
// data-modifying query.  Returns false where there is nothing to meter: then nothing is to be detached.
void read_meter_wrap(ReadMeter *meter, QueryDesc *query, DeliveryFrame *frame);
inline bool read_meter_attach(ReadMeter *meter, QueryDesc *query, DeliveryFrame *frame) {
  if (query_meters == nullptr && query->dest->mydest != DestCopyOut) [[likely]]
    return false;
  read_meter_wrap(meter, query, frame);
  return true;
}

// Restores query->dest and gives back what was leased but not delivered.  Safe while an
// error is in flight.
void read_meter_detach(ReadMeter *meter, QueryDesc *query) noexcept;

// The operation that an output function of this session charges instead of a read, where it reveals.
Operation read_revealed_as(Oid token_type);

// True if the output function will reveal values of the type, and charge for that.
bool read_is_revealed(Oid token_type);

}  // namespace redoubt::pg
#endif
