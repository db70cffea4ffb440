// error_origin.h - which program or library made an error: PostgreSQL itself, this library, or somebody else.
//
// Neither the message domain nor the name of the source file tells: errstart() gives PostgreSQL's domain to every
// extension that names none, and a file of any extension may be called as one of PostgreSQL's.  The name's place in
// memory tells: it is a constant of the object that the error was made in.  Errors that a parallel worker hands to its
// leader have been through a message and are nobody's.
#ifndef REDOUBT_PG_BASE_ERROR_ORIGIN_H
#define REDOUBT_PG_BASE_ERROR_ORIGIN_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

enum class ErrorOrigin : std::uint8_t { server, redoubt, other };

// error_origin takes microseconds and allocates nothing; safe while an error is in flight.
ErrorOrigin error_origin(const ErrorData *error) noexcept;

}  // namespace redoubt::pg
#endif
