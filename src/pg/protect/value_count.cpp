// value_count.cpp - see value_count.h.
//
// Covered by sql/reads.sql and test/metering.
#include "pg/base/boundary.h"

#include "pg/base/varlena_array.h"
#include "pg/protect/value_count.h"

namespace redoubt::pg {
namespace {

// Elements that are not null; of rows, and of domains over arrays, what each holds.
std::uint32_t array_elements(Datum value) {
  ArrayType *array = DatumGetArrayTypeP(value);
  const Oid element = getBaseType(ARR_ELEMTYPE(array));
  if (type_is_rowtype(element) || OidIsValid(get_element_type(element))) {
    ArrayIterator iterator = array_create_iterator(array, 0, nullptr);
    std::uint32_t elements = 0;
    Datum inner = 0;
    bool null = true;
    while (array_iterate(iterator, &inner, &null)) elements += null ? 0 : value_elements(inner, element);
    array_free_iterator(iterator);
    return elements;
  }
  return static_cast<std::uint32_t>(array_count(array));
}

// Which of a row's arrays are protected is not known here: all of them count.
std::uint32_t row_elements(Datum value) {
  HeapTupleHeader header = DatumGetHeapTupleHeader(value);
  TupleDesc descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
  std::uint32_t elements = 1;
  for (int i = 0; i < descriptor->natts; ++i) {
    if (TupleDescAttr(descriptor, i)->attisdropped) continue;
    bool null = true;
    const Datum attribute = GetAttributeByNum(header, static_cast<AttrNumber>(i + 1), &null);
    if (!null) {
      const std::uint32_t inner = value_elements(attribute, TupleDescAttr(descriptor, i)->atttypid);
      elements += inner > 1 ? inner - 1 : 0;
    }
  }
  ReleaseTupleDesc(descriptor);
  return elements;
}

}  // namespace

std::uint32_t value_elements(Datum value, Oid type) {
  check_stack_depth();
  const Oid base = getBaseType(type);
  if (OidIsValid(get_element_type(base))) return array_elements(value);
  if (type_is_rowtype(base)) return std::max<std::uint32_t>(row_elements(value), 1);
  return 1;
}

}  // namespace redoubt::pg
