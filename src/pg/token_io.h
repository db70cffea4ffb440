// token_io.h - what an output function of a token type shows, here and now.
#ifndef REDOUBT_PG_TOKEN_IO_H
#define REDOUBT_PG_TOKEN_IO_H

#include "pg/boundary.h"

#include "pg/policy.h"
#include "pg/settings.h"

namespace redoubt::pg {

// token_io_reveal is what redoubt.reveal comes to for the type: token, masked or plain.
// Sets *policy unless it is token.  Raises 42501.
Reveal token_io_reveal(Oid type, const TypePolicy **policy);

// token_io_count_read charges a token that is shown out of a tuple store: such
// rows passed no read meter.
void token_io_count_read(Oid type);

}  // namespace redoubt::pg
#endif
