// node_walk.h - PostgreSQL's walkers of trees, with a function object that looks at each node.
//
//   any_node(expression, [](Node *node) { return IsA(node, SubPlan) ? Step::found : Step::into; })
//
// A walk runs inside of what began it, with nothing in between that catches.
#ifndef REDOUBT_PG_BASE_NODE_WALK_H
#define REDOUBT_PG_BASE_NODE_WALK_H

#include "pg/base/compat.h"

extern "C" {
#include "nodes/nodeFuncs.h"
}

namespace redoubt::pg {

enum class Step : std::uint8_t {
  into,  // what the node holds is looked at next; of a query, all its parts
  past,  // it is not
  found  // the walk is over
};

template <int Flags, typename Look>
bool node_walk(Node *node, void *look) {
  if (node == nullptr) return false;
  const Step step = (*static_cast<Look *>(look))(node);
  if (step != Step::into) return step == Step::found;
  return IsA(node, Query)
             ? query_tree_walker(reinterpret_cast<Query *>(node), tree_walker(node_walk<Flags, Look>), look, Flags)
             : expression_tree_walker(node, tree_walker(node_walk<Flags, Look>), look);
}

// Is there a node in the tree, itself included, that look(node) finds?  `Flags` are those of query_tree_walker.
template <int Flags = 0, typename Look>
bool any_node(const void *tree, Look look) {
  return node_walk<Flags, Look>(static_cast<Node *>(const_cast<void *>(tree)), &look);
}

template <typename Map>
Node *node_map(Node *node, void *map) {
  if (node == nullptr) return nullptr;
  if (Node *other = (*static_cast<Map *>(map))(node); other != nullptr) return other;
  return IsA(node, Query) ? reinterpret_cast<Node *>(query_tree_mutator(reinterpret_cast<Query *>(node),
                                                                        tree_mutator(node_map<Map>), map, 0))
                          : expression_tree_mutator(node, tree_mutator(node_map<Map>), map);
}

// A copy of the tree, with map(node) in the place of each node of which that is not null.
template <typename Tree, typename Map>
Tree *mapped(Tree *tree, Map map) {
  return reinterpret_cast<Tree *>(node_map<Map>(reinterpret_cast<Node *>(tree), &map));
}

template <typename Visit>
bool node_child(Node *node, void *visit) {
  (*static_cast<Visit *>(visit))(node);
  return false;
}

// Calls visit(child) for each node right below.
template <typename Visit>
void each_child(Node *node, Visit visit) {
  expression_tree_walker(node, tree_walker(node_child<Visit>), &visit);
}

template <typename Wanted>
bool function_is_wanted(Oid function, void *wanted) {
  return (*static_cast<Wanted *>(wanted))(function);
}

// Does the node itself call a function that is_wanted(function)?
template <typename Wanted>
bool calls_any(Node *node, Wanted is_wanted) {
  return check_functions_in_node(node, function_is_wanted<Wanted>, &is_wanted);
}

}  // namespace redoubt::pg
#endif
