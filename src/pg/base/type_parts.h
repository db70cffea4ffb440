// type_parts.h - the types that values of a type are made of.
//
//   List *seen = NIL;
//   any_type(type, &seen, [](Oid part, Oid) { return is_what_i_want(part) ? Step::found : Step::into; })
//
// Types of PostgreSQL's own are made of no others, arrays of them aside.
#ifndef REDOUBT_PG_BASE_TYPE_PARTS_H
#define REDOUBT_PG_BASE_TYPE_PARTS_H

#include "pg/base/each.h"
#include "pg/base/node_walk.h"

extern "C" {
#include "parser/parse_coerce.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"
}

namespace redoubt::pg {

// The one type that values of a domain, range, multirange or array are made of; InvalidOid for other types.
inline Oid type_inside(Oid type) {
  switch (get_typtype(type)) {
    case TYPTYPE_DOMAIN:
      return getBaseType(type);
    case TYPTYPE_RANGE:
      return get_range_subtype(type);
    case TYPTYPE_MULTIRANGE:
      return get_multirange_range(type);
    default:
      return get_element_type(type);
  }
}

// Is there a type that look(part, collation) finds: `type`, or one that its values are made of?  The collation is that
// by which a field of a row, or a range, compares; InvalidOid elsewhere.  `seen` holds the row types met so far, whose
// fields are looked at once: a row of rows that are alike, and so on, has as many parts as nobody could wait for.
template <typename Look>
bool any_type(Oid type, List **seen, Look &&look, Oid collation = InvalidOid) {
  const Step step = look(type, collation);
  if (step != Step::into) return step == Step::found;
  if (type < FirstNormalObjectId) {
    const Oid element = get_element_type(type);
    return OidIsValid(element) && look(element, InvalidOid) == Step::found;
  }
  check_stack_depth();
  if (const Oid inside = type_inside(type); OidIsValid(inside))
    return any_type(inside, seen, look, get_range_collation(type));
  if (get_typtype(type) != TYPTYPE_COMPOSITE || list_member_oid(*seen, type)) return false;
  *seen = lappend_oid(*seen, type);
  TupleDesc descriptor = lookup_rowtype_tupdesc_copy(type, -1);
  for (int i = 0; i < descriptor->natts; ++i)
    if (const FormData_pg_attribute *field = TupleDescAttr(descriptor, i);
        !field->attisdropped && any_type(field->atttypid, seen, look, field->attcollation))
      return true;
  return false;
}

// The function by which values of `type` are cast to `target`; InvalidOid where there is no such cast, or it takes
// none.
inline Oid cast_function(Oid type, Oid target) {
  Oid function = InvalidOid;
  const bool calls = type >= FirstNormalObjectId &&
                     find_coercion_pathway(target, type, COERCION_EXPLICIT, &function) == COERCION_PATH_FUNC;
  return calls ? function : InvalidOid;
}

}  // namespace redoubt::pg
#endif
