// tree_walker.h - hands a typed callback to PostgreSQL's tree walkers and mutators.
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
inline auto tree_mutator(Node *(*mutator)(Node *, void *)) {
  return reinterpret_cast<Node *(*)()>(reinterpret_cast<void (*)()>(mutator));
}
#else
template <typename T>
auto tree_walker(bool (*walker)(T *, void *)) {
  return walker;
}
inline auto tree_mutator(Node *(*mutator)(Node *, void *)) { return mutator; }
#endif

}  // namespace redoubt::pg
#endif
