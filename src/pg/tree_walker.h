// tree_walker.h - hands a typed callback to PostgreSQL's tree walkers.
//
// Up to version 15 they take it as bool (*)(), a C declaration without a prototype; from
// 16 on with one.
#ifndef REDOUBT_PG_TREE_WALKER_H
#define REDOUBT_PG_TREE_WALKER_H

#include "pg/boundary.h"

namespace redoubt::pg {

#if PG_VERSION_NUM < 160000
template <typename T>
auto tree_walker(bool (*walker)(T *, void *)) {
  // void (*)() is the function type that may stand for any other.
  return reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
}
#else
template <typename T>
auto tree_walker(bool (*walker)(T *, void *)) {
  return walker;
}
#endif

}  // namespace redoubt::pg
#endif
