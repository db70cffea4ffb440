// explain.h - what EXPLAIN says of a query's charges.
//
// One line, or one property of the query in the other formats:
//
//   Redoubt: read email_token x 10, probe email_token x 10
//
// Token types and counts, no values; plans that touch nothing protected print as ever.
#ifndef REDOUBT_PG_METER_EXPLAIN_H
#define REDOUBT_PG_METER_EXPLAIN_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Installs the hook of EXPLAIN.  Call while preloading.
void explain_install();

// explain_query_end is called before ExecutorEnd: prints, where `query` is what EXPLAIN is
// about.  From PostgreSQL 18 on a hook of the server's own does that.
#if PG_VERSION_NUM >= 180000
inline void explain_query_end(const QueryDesc *) {}
#else
struct Explained;
inline constinit Explained *explained = nullptr;  // the EXPLAIN in progress
void explain_print_end(const QueryDesc *query);
inline void explain_query_end(const QueryDesc *query) {
  if (explained != nullptr) explain_print_end(query);
}
#endif

}  // namespace redoubt::pg
#endif
