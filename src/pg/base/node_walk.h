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

template <typename Find>
bool node_child(Node *node, void *find) {
  return node != nullptr && (*static_cast<Find *>(find))(node);
}

// Is there a node right below, of a query among all its parts, that find(child) is true of?  `Flags` are those of
// query_tree_walker.
template <int Flags = 0, typename Find>
bool any_child(Node *node, Find find) {
  if (node == nullptr) return false;
  return IsA(node, Query)
             ? query_tree_walker(reinterpret_cast<Query *>(node), tree_walker(node_child<Find>), &find, Flags)
             : expression_tree_walker(node, tree_walker(node_child<Find>), &find);
}

// Is there a node in the tree, itself included, that look(node) finds?
template <int Flags = 0, typename Look>
bool any_node(const void *tree, Look &&look) {
  auto *node = static_cast<Node *>(const_cast<void *>(tree));
  if (node == nullptr) return false;
  const Step step = look(node);
  if (step != Step::into) return step == Step::found;
  return any_child<Flags>(node, [&look](Node *child) { return any_node<Flags>(child, look); });
}

// Calls visit(child) for each node right below.
template <int Flags = 0, typename Visit>
void each_child(Node *node, Visit visit) {
  (void)any_child<Flags>(node, [&visit](Node *child) {
    visit(child);
    return false;
  });
}

// The same of what the entries of a range table hold.
template <int Flags = 0, typename Visit>
void each_in_tables(List *tables, Visit visit) {
  auto find = [&visit](Node *child) {
    visit(child);
    return false;
  };
  (void)range_table_walker(tables, tree_walker(node_child<decltype(find)>), &find, Flags);
}

template <typename Map>
Node *child_mapped(Node *node, void *map) {
  return node != nullptr ? (*static_cast<Map *>(map))(node) : nullptr;
}

// A copy of the node, with map(child) in the place of each node right below; of a query, of each of its parts.  `Flags`
// are those of query_tree_mutator.
template <int Flags = 0, typename Map>
Node *with_children(Node *node, Map map) {
  if (!IsA(node, Query)) return expression_tree_mutator(node, tree_mutator(child_mapped<Map>), &map);
  auto *query = reinterpret_cast<Query *>(node);
  return reinterpret_cast<Node *>(query_tree_mutator(query, tree_mutator(child_mapped<Map>), &map, Flags));
}

// A copy of the tree, with map(node) in the place of each node of which that is not null.
template <typename Tree, typename Map>
Tree *mapped(Tree *tree, Map &&map) {
  auto *node = reinterpret_cast<Node *>(tree);
  if (node == nullptr) return nullptr;
  Node *other = map(node);
  if (other == nullptr) other = with_children(node, [&map](Node *child) { return mapped(child, map); });
  return reinterpret_cast<Tree *>(other);
}

template <typename Look>
bool raw_node_walk(Node *node, void *look) {
  if (node == nullptr) return false;
  const Step step = (*static_cast<Look *>(look))(node);
  if (step != Step::into) return step == Step::found;
  return raw_expression_tree_walker(node, tree_walker(raw_node_walk<Look>), look);
}

// any_node of what the parser has made and nobody has analysed yet.
template <typename Look>
bool any_raw_node(const void *tree, Look look) {
  return raw_node_walk<Look>(static_cast<Node *>(const_cast<void *>(tree)), &look);
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

// What a call, of a function, an operator or an aggregate, or an SQL/JSON expression is given; NIL for other nodes.
inline List *call_arguments(const Node *node) {
  switch (nodeTag(node)) {
    case T_FuncExpr:
      return reinterpret_cast<const FuncExpr *>(node)->args;
    case T_OpExpr:
      return reinterpret_cast<const OpExpr *>(node)->args;
    case T_Aggref:
      return reinterpret_cast<const Aggref *>(node)->args;
    case T_WindowFunc:
      return reinterpret_cast<const WindowFunc *>(node)->args;
    default:
      return compat_is_sql_json(node) ? compat_json_arguments(node) : NIL;
  }
}

// Does it make a value of its type by what that runs, the checks of a domain say?
inline bool makes_value(const Node *node) {
  return IsA(node, FuncExpr) || IsA(node, CoerceToDomain) || IsA(node, CoerceViaIO) || compat_is_sql_json(node);
}

// An argument without the target list entry that those of aggregates are in.
inline const Node *argument(const Node *node) {
  return IsA(node, TargetEntry) ? reinterpret_cast<const Node *>(reinterpret_cast<const TargetEntry *>(node)->expr)
                                : node;
}

}  // namespace redoubt::pg
#endif
