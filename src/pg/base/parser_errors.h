// parser_errors.h - how to mend what PostgreSQL's parser refuses of token columns before any hook is called.
#ifndef REDOUBT_PG_BASE_PARSER_ERRORS_H
#define REDOUBT_PG_BASE_PARSER_ERRORS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

// Chains emit_log_hook.
void parser_errors_install();

}  // namespace redoubt::pg
#endif
