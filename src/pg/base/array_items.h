// array_items.h - the elements of an array of any type, taken apart and put together.
// Arrays of texts, bytes and sealed tokens go faster by base/varlena_array.h.
#ifndef REDOUBT_PG_BASE_ARRAY_ITEMS_H
#define REDOUBT_PG_BASE_ARRAY_ITEMS_H

#include "pg/base/boundary.h"

namespace redoubt::pg {

struct ArrayItems {
  Datum *value;
  bool *null;
  int size;
};

inline ArrayItems array_items(ArrayType *array) {
  ArrayItems items = {};
  int16 length = 0;
  bool by_value = false;
  char align = '\0';
  get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
  deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &items.value, &items.null, &items.size);
  return items;
}

// Calls visit(value) for each that is not null.
template <typename Visit>
void each_item(ArrayType *array, Visit &&visit) {
  const ArrayItems items = array_items(array);
  for (int i = 0; i < items.size; ++i)
    if (!items.null[i]) visit(items.value[i]);
}

// An array of `element` in the shape of `like`; `null` may be null.
inline ArrayType *array_shaped(ArrayType *like, Oid element, Datum *value, bool *null) {
  int16 length = 0;
  bool by_value = false;
  char align = '\0';
  get_typlenbyvalalign(element, &length, &by_value, &align);
  return construct_md_array(value, null, ARR_NDIM(like), ARR_DIMS(like), ARR_LBOUND(like), element, length, by_value,
                            align);
}

}  // namespace redoubt::pg
#endif
