// authors.cpp - see authors.h.
//
// Looked for when the first value is about to be revealed by an expression, and kept in the frame: queries that reveal
// nothing that way do not pay for it.  The relations are those of the finished plan, which still names every view and
// rule's relation that the rewriter put a query for. More authors than a frame has room for count as one that may not
// reveal. No locks but those that the query holds on its relations.  Covered by sql/authors.sql.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/each.h"
#include "pg/base/node_walk.h"
#include "pg/base/type_parts.h"
#include "pg/reveal/authors.h"
#include "pg/types/token_type.h"

extern "C" {
#include "access/relation.h"
#include "rewrite/rowsecurity.h"
}

namespace redoubt::pg {
namespace {

bool has_value(const Node *node) {
  switch (nodeTag(node)) {
    case T_Var:
    case T_Const:
    case T_Param:
    case T_Aggref:
    case T_WindowFunc:
    case T_SubscriptingRef:
    case T_FuncExpr:
    case T_OpExpr:
    case T_SubLink:
    case T_FieldSelect:
    case T_RelabelType:
    case T_CoerceViaIO:
    case T_ArrayCoerceExpr:
    case T_ConvertRowtypeExpr:
    case T_CaseExpr:
    case T_ArrayExpr:
    case T_RowExpr:
    case T_CoalesceExpr:
    case T_MinMaxExpr:
    case T_CoerceToDomain:
      return true;
    default:
      return false;
  }
}

// Nodes that give on what they are given, or compare it by functions of its type.
bool passes_on(const Node *node) {
  switch (nodeTag(node)) {
    case T_List:
    case T_TargetEntry:
    case T_FromExpr:
    case T_JoinExpr:
    case T_RangeTblRef:
    case T_SortGroupClause:
    case T_Var:
    case T_Const:
    case T_BoolExpr:
    case T_NullTest:
    case T_BooleanTest:
    case T_CaseExpr:
    case T_CaseWhen:
    case T_CoalesceExpr:
    case T_RelabelType:
    case T_FieldSelect:
    case T_SubLink:
    case T_DistinctExpr:
    case T_NullIfExpr:
      return true;
    default:
      return false;
  }
}

enum class Calls : std::uint8_t { nothing, token_function, built_in, code };

Calls function_calls(Oid function) {
  if (catalog_library_symbol(function) != nullptr) return Calls::token_function;
  if (function >= FirstNormalObjectId) return Calls::code;
  // Those that run a query from a text or over a table are volatile or make XML.
  const bool runs = func_volatile(function) == PROVOLATILE_VOLATILE || get_func_rettype(function) == XMLOID;
  return runs ? Calls::code : Calls::built_in;
}

// Does it make a value of a domain, or print an argument by a cast of somebody's own?
bool runs_code(Node *node) {
  List *seen = NIL;
  if (makes_value(node) && any_type(exprType(node), &seen, [](Oid part, Oid) {
        return part >= FirstNormalObjectId && get_typtype(part) == TYPTYPE_DOMAIN ? Step::found : Step::into;
      }))
    return true;
  const auto is_own = [](Oid cast) { return OidIsValid(cast) && function_calls(cast) == Calls::code; };
  for (const auto *given : list_of<const Node>(call_arguments(node))) {
    seen = NIL;
    if (any_type(exprType(argument(given)), &seen, [&is_own](Oid part, Oid) {
          return is_own(cast_function(part, JSONOID)) || is_own(cast_function(part, TEXTOID)) ? Step::found
                                                                                              : Step::into;
        }))
      return true;
  }
  return false;
}

// Is there code in an expression or a query?  `converts`: the node around may print what its arguments hold.
bool has_code(Node *node, bool converts) {
  check_stack_depth();
  if (IsA(node, Query)) return any_child(node, [](Node *child) { return has_code(child, false); });
  if (converts && has_value(node) && type_holds_tokens(exprType(node))) return true;
  Calls calls = Calls::nothing;
  (void)calls_any(node, [&calls](Oid function) {
    calls = std::max(calls, function_calls(function));
    return false;
  });
  if (calls == Calls::code || IsA(node, XmlExpr) || runs_code(node)) return true;
  const bool below = calls != Calls::token_function && !passes_on(node);
  return any_child(node, [below](Node *child) { return has_code(child, below); });
}

bool writes_code(void *tree) { return tree != nullptr && has_code(static_cast<Node *>(tree), false); }

// A view's definition is a rule, and a rule of another kind may have a SELECT whose rows go to the reader.
bool rules_write_code(const RuleLock *rules) {
  for (int i = 0; rules != nullptr && i < rules->numLocks; ++i)
    if (writes_code(rules->rules[i]->actions) || writes_code(rules->rules[i]->qual)) return true;
  return false;
}

bool policies_write_code(const RowSecurityDesc *security) {
  if (security == nullptr) return false;
  for (const auto *policy : list_of<const RowSecurityPolicy>(security->policies))
    if (writes_code(policy->qual)) return true;
  return false;
}

constexpr int kMany = lengthof(DeliveryFrame::author);

// The frame is changed at the end: an error on the way, which a function may catch, must leave nothing half known.
void find_authors(DeliveryFrame *frame) {
  Oid found[kMany] = {};
  int count = 0;
  for (const auto *entry : list_of<const RangeTblEntry>(frame->plan->rtable)) {
    const Oid relid = entry->relid;
    if (relid < FirstNormalObjectId) continue;
    Relation relation = try_relation_open(relid, AccessShareLock);
    if (relation == nullptr) continue;
    const Oid owner = relation->rd_rel->relowner;
    const bool code = rules_write_code(relation->rd_rules) || policies_write_code(relation->rd_rsdesc);
    relation_close(relation, NoLock);
    if (!code || std::find(found, found + count, owner) != found + count) continue;
    if (count < kMany)
      found[count++] = owner;
    else
      found[kMany - 1] = InvalidOid;
  }
  std::copy_n(found, kMany, frame->author);
  frame->authors = count;
}

}  // namespace

bool authors_all(DeliveryFrame *innermost, bool (*may)(Oid author, const void *context), const void *context,
                 Oid *without) {
  for (DeliveryFrame *frame = innermost; frame != nullptr; frame = frame->parent) {
    if (frame->plan == nullptr || frame->delivering) continue;
    if (frame->authors < 0) find_authors(frame);
    for (int i = 0; i < frame->authors; ++i) {
      if (OidIsValid(frame->author[i]) && may(frame->author[i], context)) continue;
      *without = OidIsValid(frame->author[i]) ? frame->author[i] : frame->author[0];
      return false;
    }
  }
  return true;
}

bool authors_any(DeliveryFrame *innermost) {
  constexpr auto nobody = [](Oid, const void *) { return false; };
  Oid author = InvalidOid;
  return !authors_all(innermost, nobody, nullptr, &author);
}

}  // namespace redoubt::pg
