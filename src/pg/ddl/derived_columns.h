// derived_columns.h - labels that follow the values.
//
// A table or materialised view filled from protected columns is labelled column by
// column; a column that DDL would take out of protection (DETACH PARTITION, DROP
// EXPRESSION, a changed type) keeps it as a label of its own.
#ifndef REDOUBT_PG_DDL_DERIVED_COLUMNS_H
#define REDOUBT_PG_DDL_DERIVED_COLUMNS_H

#include "pg/plan/analysis.h"

namespace redoubt::pg {

// derived_columns_remember is called when a query has filled a new table.
void derived_columns_remember(const PlanAnalysis *analysis);

// What a utility command is about to change; palloc'd, null where nothing has to be kept.
struct ProtectionSnapshot;
ProtectionSnapshot *derived_columns_begin(const Node *statement);

// Called after the command: labels what it filled or would have freed.
void derived_columns_end(const Node *statement, const ProtectionSnapshot *before);

}  // namespace redoubt::pg
#endif
