// plan/out_of_sight.cpp - see plan/out_of_sight.h.
//
// Invariant: of an expression that is not found here, each row of the hidden scan holds at most one value of each
// protected column in its relations; and computing it tells nobody anything but its result.
// Frames here hold plain data only.
// Covered by test/citus, and without Citus by test/tap/neighbours.pl.
#include "pg/base/boundary.h"

#include "pg/base/compat.h"
#include "pg/base/settings.h"
#include "pg/plan/as_text.h"
#include "pg/plan/out_of_sight.h"
#include "pg/plan/query_columns.h"
#include "pg/plan/query_parts.h"
#include "pg/plan/walk.h"
#include "pg/protect/function_trust.h"
#include "pg/protect/protected_columns.h"

extern "C" {
#include "nodes/extensible.h"
#include "optimizer/optimizer.h"
}

namespace redoubt::pg {
namespace {

bool shows_values() noexcept {
  setting_order_matters = true;
  return setting_reveal != static_cast<int>(Reveal::token);
}

bool holds_among(const QueryLevel *level, const void *expression, bool counts_too, Seen *seen);

bool variable_is_protected(const QueryLevel *level, const Var *variable, Seen *seen) {
  check_stack_depth();
  const QueryLevel *of = level_up(level, variable->varlevelsup);
  const RangeTblEntry *entry = of != nullptr ? table_entry(of, variable) : nullptr;
  if (entry != nullptr && entry->rtekind == RTE_RELATION)
    return variable->varattno > 0 ? OidIsValid(protected_column_type(entry->relid, variable->varattno))
                                  : (variable->varattno == 0 || variable->varattno == TableOidAttributeNumber) &&
                                        protected_relation(entry->relid) != nullptr;
  for (const auto *origin : list_of<const Origin>(origins_of(level, variable)))
    if (origin->value == nullptr ||
        (seen_add(seen, origin->value) && holds_among(origin->level, origin->value, true, seen)))
      return true;
  return false;
}

// A column of a table as it is, and not a generated one: nulls of it are no secret.
bool is_stored(const Query *query, const Node *value) {
  AttrNumber attno = InvalidAttrNumber;
  const Oid relid = column_copied(query, value, &attno);
  return OidIsValid(relid) && get_attgenerated(relid, attno) == '\0';
}

bool takes_tokens(const List *arguments) {
  for (const auto *each : list_of<const Node>(arguments))
    if (type_holds_tokens(exprType(argument(each)))) return true;
  return false;
}

// Does a count tell of no more than how many rows there are?
bool counts_rows(const Query *query, const Aggref *call) {
  return call->aggdistinct == NIL && call->aggfilter == nullptr &&
         (call->args == NIL || is_stored(query, argument(static_cast<const Node *>(linitial(call->args)))));
}

bool holds_among(const QueryLevel *level, const void *expression, bool counts_too, Seen *seen) {
  return any_node(expression, [=](Node *node) {
    const auto *call = reinterpret_cast<const Aggref *>(node);
    if (IsA(node, Var))
      return variable_is_protected(level, reinterpret_cast<const Var *>(node), seen) ? Step::found : Step::past;
    if (IsA(node, Aggref) && is_count(call->aggfnoid) && (counts_too || counts_rows(level->query, call)))
      return Step::past;
    return IsA(node, SubLink) ? Step::found : Step::into;
  });
}

// Does an expression hold protected values?
bool holds_protected(const Query *query, const void *expression, bool counts_too = true) {
  const QueryLevel level = {query, nullptr};
  return with_seen([&](Seen *seen) { return holds_among(&level, expression, counts_too, seen); });
}

// May the result of an aggregate hold something of more than one row?
bool packs(Oid aggregate) { return !is_count(aggregate) && !is_extreme(aggregate); }

// The same, or does it tell anything else of them, but for what a count of rows tells?
bool tells_protected(const Query *query, const void *expression) { return holds_protected(query, expression, false); }

// Functions of ours that are not immutable take keys, privileges or settings; those of others that are not trusted may
// do anything.
bool takes_session(Oid function) {
  return is_redoubt_function(function) ? func_volatile(function) != PROVOLATILE_IMMUTABLE
                                       : !function_is_trusted(function);
}

// Are functions called that are not trusted, with something of the row?
bool hands_over(const void *tree) {
  return any_node(tree, [](Node *node) {
    const bool untrusted = calls_any(node, [](Oid function) { return !function_is_trusted(function); });
    return untrusted && contain_var_clause(node) ? Step::found : Step::into;
  });
}

// Does a query, or a list of WITH queries, read a table with protected columns?
bool reads_below(const void *tree) {
  return any_node<QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES>(tree, [](Node *node) {
    if (!IsA(node, RangeTblEntry)) return Step::into;
    const auto *entry = reinterpret_cast<const RangeTblEntry *>(node);
    return entry->rtekind == RTE_RELATION && protected_relation(entry->relid) != nullptr ? Step::found : Step::past;
  });
}

// May built-in functions that print their arguments call a cast of somebody's own for one of these?
bool runs_casts(const List *arguments) {
  for (const auto *each : list_of<const Node>(arguments)) {
    const Oid type = exprType(argument(each));
    const bool own = type >= FirstNormalObjectId || type == RECORDOID || type == RECORDARRAYOID;
    if (own && !type_is_tokens(type) && (type_casts_to_text(type) || type_casts_to_json(type))) return true;
  }
  return false;
}

// May a value made of the arguments hold more than one value of a column, which is an array or the like?
bool unpacks(const Query *query, const List *arguments, Oid result) {
  if (is_fixed_size(result)) return false;
  for (const auto *node : list_of<const Node>(arguments)) {
    if (OidIsValid(get_element_type(getBaseType(exprType(node)))) && holds_protected(query, node)) return true;
  }
  return false;
}

bool protected_decides(const Query *query);
bool only_copies(const Query *query, const List *targets);

// Do protected values decide on what an aggregate or a window function is given?
bool tells_by_call(const Query *query, const Node *call) {
  const auto *function = reinterpret_cast<const WindowFunc *>(call);
  const auto *aggregate = reinterpret_cast<const Aggref *>(call);
  if (IsA(call, WindowFunc))
    return holds_protected(query, function->args) || holds_protected(query, function->aggfilter) ||
           protected_decides(query);
  return holds_protected(query, aggregate->args) || holds_protected(query, aggregate->aggdirectargs) ||
         holds_protected(query, aggregate->aggfilter) || protected_decides(query);
}

bool stays(const Query *query, Node *node) {
  switch (nodeTag(node)) {
    case T_CoerceViaIO: {
      const auto *cast = reinterpret_cast<const CoerceViaIO *>(node);
      if (type_holds_tokens(exprType(reinterpret_cast<const Node *>(cast->arg)))) return shows_values();
      if (type_runs_code(cast->resulttype)) return true;
      break;
    }
    case T_CoerceToDomain:
      return type_runs_code(reinterpret_cast<const CoerceToDomain *>(node)->resulttype);
    case T_FuncExpr: {
      const auto *call = reinterpret_cast<const FuncExpr *>(node);
      if (acts_on_objects(call->funcid, call->args)) return true;
      if (call->funcid >= FirstNormalObjectId) break;
      if ((takes_tokens(call->args) && shows_values()) || runs_casts(call->args) ||
          function_makes_words(call->funcid) || unpacks(query, call->args, call->funcresulttype) ||
          (type_runs_code(call->funcresulttype) && holds_protected(query, call->args)))
        return true;
      break;
    }
    case T_OpExpr: {
      const auto *call = reinterpret_cast<const OpExpr *>(node);
      if (runs_casts(call->args) || function_makes_words(get_opcode(call->opno))) return true;
      break;
    }
    case T_RangeTblFunction:
      for (const Oid type : oids_of(reinterpret_cast<const RangeTblFunction *>(node)->funccoltypes))
        if (type_runs_code(type)) return true;
      break;
    case T_XmlExpr:
    case T_TableFunc:
      return true;  // quote what they read in notices
    case T_Aggref: {
      const auto *call = reinterpret_cast<const Aggref *>(node);
      // What keeps rows tells of each that it is there.
      if (runs_casts(call->args) || (packs(call->aggfnoid) && tells_by_call(query, node))) return true;
      break;
    }
    case T_WindowFunc: {
      const auto *call = reinterpret_cast<const WindowFunc *>(node);
      if (runs_casts(call->args) || (call->winagg && packs(call->winfnoid) && tells_by_call(query, node))) return true;
      break;
    }
    case T_SubLink:
      return reinterpret_cast<const SubLink *>(node)->subLinkType == ARRAY_SUBLINK;
    default: {
      const ExpressionKind *kind = expression_kind(node);
      if (kind != nullptr && kind->transfer == json_query_flow) return true;  // a document says what it computes
      if (compat_is_sql_json(node) && (type_runs_code(exprType(node)) || runs_casts(call_arguments(node)))) return true;
      break;
    }
  }
  return calls_any(node, takes_session);
}

// Does a query, or one in it, read a table with protected columns?  Asked of every statement.
bool reads_anything(const Query *query) {
  check_stack_depth();
  if (reads_protected(query)) return true;
  if (query->hasSubLinks) return reads_below(query);
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable))
    if (entry->rtekind == RTE_SUBQUERY && reads_anything(entry->subquery)) return true;
  for (const auto *cte : list_of<const CommonTableExpr>(query->cteList))
    if (const Node *inner = cte->ctequery; IsA(inner, Query) && reads_anything(reinterpret_cast<const Query *>(inner)))
      return true;
  return false;
}

// What another server is given to choose rows by, nobody counts.
bool reads_foreign(const Query *query) {
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable))
    if (entry->rtekind == RTE_RELATION && entry->relkind == RELKIND_FOREIGN_TABLE) return true;
  return false;
}

// Adds to `found` where a part of `query` holds such things.
void look_into(const Query *query, Node *node, InSight *found) {
  if (const auto *inner = reinterpret_cast<const Query *>(node); IsA(node, Query)) {
    InSight inside = {};
    each_child<QTW_IGNORE_JOINALIASES>(node, [inner, &inside](Node *child) { look_into(inner, child, &inside); });
    found->below |= inside.here || inside.below || inner->rowMarks != NIL || reads_foreign(inner);
    return;
  }
  if (const auto *join = reinterpret_cast<const JoinExpr *>(node); IsA(node, JoinExpr)) {
    InSight condition = {};
    if (join->quals != nullptr) look_into(query, join->quals, &condition);
    found->below |= condition.here || condition.below;
    look_into(query, join->larg, found);
    return look_into(query, join->rarg, found);
  }
  // A value put together from the rows of a WITH twice holds two of each.
  if (IsA(node, CommonTableExpr) && reinterpret_cast<const CommonTableExpr *>(node)->cterefcount > 1)
    found->below |= !only_copies(query, query->targetList);
  found->here = found->here || stays(query, node);
  // Several of them in one row may each tell of rows of their own.
  if (!found->several && (IsA(node, Aggref) || IsA(node, WindowFunc)) && tells_by_call(query, node)) {
    found->several = found->call != nullptr && !equal(found->call, node);
    found->here = found->here || found->several;
    found->call = node;
  }
  each_child(node, [query, found](Node *child) { look_into(query, child, found); });
}

// Does a command write what is in `targets` where it is not protected?
bool writes_out(const Query *query, const List *targets, Oid relid) {
  for (const auto *target : list_of<const TargetEntry>(targets)) {
    if (target->resjunk) continue;
    const auto *value = reinterpret_cast<const Node *>(target->expr);
    if (!holds_protected(query, value)) continue;
    // A copy of a column to one of the same type.
    AttrNumber attno = InvalidAttrNumber;
    const Oid kept = protected_column_type(relid, target->resno);
    const Oid from = column_copied(query, without_relabelling(value), &attno);
    if (!OidIsValid(kept) || !OidIsValid(from) || protected_column_type(from, attno) != kept) return true;
  }
  return false;
}

// Do the rows of an INSERT come from a table with protected columns?
bool rows_read_protected(const Query *query) {
  if (reads_below(query->cteList)) return true;
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable))
    if (entry->rtekind == RTE_SUBQUERY && reads_below(entry->subquery)) return true;
  return false;
}

// A query of tables alone, whose subqueries would be computed apart.
bool only_copies(const Query *query, const List *targets) {
  if (query->setOperations != nullptr || query->hasSubLinks) return false;
  for (const auto *target : list_of<const TargetEntry>(targets)) {
    const auto *value = without_relabelling(reinterpret_cast<const Node *>(target->expr));
    AttrNumber attno = InvalidAttrNumber;
    if (!OidIsValid(column_copied(query, value, &attno)) && tells_protected(query, value)) return false;
  }
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable))
    if (entry->rtekind == RTE_SUBQUERY && !only_copies(entry->subquery, entry->subquery->targetList)) return false;
  for (const auto *cte : list_of<const CommonTableExpr>(query->cteList)) {
    const auto *inner = reinterpret_cast<const Query *>(cte->ctequery);
    if (!only_copies(inner, inner->commandType == CMD_SELECT ? inner->targetList : inner->returningList)) return false;
  }
  return !tells_protected(query, query->havingQual);
}

bool command_discloses(Query *query) {
  const Oid relid = rt_fetch(static_cast<Index>(query->resultRelation), query->rtable)->relid;
  if (writes_out(query, query->targetList, relid)) return true;
  if (query->onConflict != nullptr && writes_out(query, query->onConflict->onConflictSet, relid)) return true;
  for (const auto *action : list_of<const MergeAction>(query->mergeActionList))
    if (writes_out(query, action->targetList, relid)) return true;
  if (query->commandType != CMD_INSERT) return hands_over(query);
  // Of rows that come from elsewhere, the functions that make them are given nothing protected.
  if (rows_read_protected(query)) return hands_over(query);
  return hands_over(query->onConflict) || hands_over(query->returningList);
}

// Looks whether there are hidden scans, and sets `flag` for each.
bool plan_hides(const PlannedStmt *statement, Plan *plan, std::uint32_t flag) {
  if (plan == nullptr) return false;
  check_stack_depth();
  bool found = false;
  if (IsA(plan, CustomScan)) {
    auto *scan = reinterpret_cast<CustomScan *>(plan);
    found = scan->scan.scanrelid == 0 && scan->custom_plans == NIL && !says_what_it_reads(statement, scan);
    if (found) scan->flags |= flag;
  }
  if (const PlanKind *kind = plan_kind(plan); kind != nullptr)
    for (auto *branch : list_of<Plan>(list_at(plan, kind->plans))) found |= plan_hides(statement, branch, flag);
  found |= plan_hides(statement, plan->lefttree, flag);
  return plan_hides(statement, plan->righttree, flag) || found;
}

bool statement_hides(const PlannedStmt *plan, std::uint32_t flag) {
  bool found = plan_hides(plan, plan->planTree, flag);
  for (auto *branch : list_of<Plan>(plan->subplans)) found |= plan_hides(plan, branch, flag);
  return found;
}

bool protected_decides(const Query *query) {
  if (query->commandType == CMD_INSERT && query->onConflict == nullptr && !rows_read_protected(query)) return false;
  if (query->setOperations != nullptr || query->cteList != NIL || query->hasSubLinks || query->onConflict != nullptr ||
      query->mergeActionList != NIL)
    return true;
  for (const auto *entry : list_of<const RangeTblEntry>(query->rtable)) {
    const bool plain = entry->rtekind == RTE_RELATION || entry->rtekind == RTE_JOIN || entry->rtekind == RTE_RESULT ||
                       compat_group_expressions(entry) != NIL;
    if (!plain || holds_protected(query, entry->securityQuals)) return true;
    // Which partition a row is in tells of its key.
    if (entry->rtekind == RTE_RELATION && protected_relation(entry->relid) != nullptr &&
        (entry->relkind == RELKIND_PARTITIONED_TABLE || get_rel_relispartition(entry->relid)))
      return true;
  }
  if (tells_protected(query, query->jointree) || tells_protected(query, query->havingQual) ||
      tells_protected(query, query->windowClause))
    return true;
  for (const auto *target : list_of<const TargetEntry>(query->targetList)) {
    if (target->ressortgroupref != 0 && holds_protected(query, target->expr)) return true;
  }
  return false;
}

}  // namespace

bool says_what_it_reads(const PlannedStmt *plan, const CustomScan *scan) {
  if (scan->custom_plans != NIL || scan->custom_scan_tlist == NIL) return false;
  for (const auto *each : list_of<const Var>(variables_of(scan->custom_scan_tlist))) {
    const int rti = each->varno;
    if (IS_SPECIAL_VARNO(rti) || !bms_is_member(rti, scan->custom_relids) ||
        rt_fetch(static_cast<Index>(rti), plan->rtable)->rtekind != RTE_RELATION)
      return false;
  }
  return true;
}

bool hides_scans(const PlannedStmt *plan) { return statement_hides(plan, 0); }

Outputs outputs_of(const Query *query) {
  const List *targets = query->commandType == CMD_SELECT ? query->targetList : query->returningList;
  Outputs outputs = {static_cast<List *>(copyObjectImpl(targets)), 0};
  for (auto *target : list_of<TargetEntry>(outputs.targets)) {
    target->resorigtbl = column_copied(query, reinterpret_cast<Node *>(target->expr), &target->resorigcol);
  }
  if (only_copies(query, targets)) outputs.flags |= kOnlyCopies;
  if (protected_decides(query)) return outputs;
  outputs.flags |= kNothingDecides;
  if (!tells_protected(query, targets)) outputs.flags |= kNothingCarried;
  return outputs;
}

void tell_outputs(const PlannedStmt *plan, const Outputs &outputs) {
  (void)statement_hides(plan, outputs.flags | kPlannedBelow);
  if (!IsA(plan->planTree, CustomScan) || !plan_hides(plan, plan->planTree, 0)) return;
  ListCell *cell = nullptr;
  ListCell *known = nullptr;
  forboth(cell, plan->planTree->targetlist, known, outputs.targets) {
    auto *target = static_cast<TargetEntry *>(lfirst(cell));
    const auto *asked = static_cast<const TargetEntry *>(lfirst(known));
    if (target->resjunk || asked->resjunk) return;
    target->resorigtbl = asked->resorigtbl;
    target->resorigcol = asked->resorigcol;
  }
}

bool stays_in_sight(const Query *query, Node *expression) {
  InSight found = {};
  if (expression != nullptr) look_into(query, expression, &found);
  return found.here;
}

InSight find_in_sight(Query *query) {
  InSight found = {};
  if (query->commandType == CMD_UTILITY || !reads_anything(query)) return found;
  found.reads = true;
  if (query->commandType != CMD_SELECT) {
    found.written = command_discloses(query);
    return found;
  }
  each_child<QTW_IGNORE_RANGE_TABLE | QTW_IGNORE_CTE_SUBQUERIES>(
      reinterpret_cast<Node *>(query), [query, &found](Node *child) { look_into(query, child, &found); });
  // What is in FROM or a WITH is below.
  InSight below = {};
  const auto look_below = [query, &below](Node *child) { look_into(query, child, &below); };
  each_in_tables<QTW_IGNORE_JOINALIASES>(query->rtable, look_below);
  each_child(reinterpret_cast<Node *>(query->cteList), look_below);
  found.below |= below.here || below.below || reads_foreign(query);
  return found;
}

}  // namespace redoubt::pg
