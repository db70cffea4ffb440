// plan/walk.h - what the parts of plan analysis share.
//
// plan/nodes.cpp walks plan nodes, whose kinds plan/node_table lists, plan/scans.cpp knows scans, plan/grouping.cpp
// nodes that put rows together and plan/row_keys.cpp what their keys decide, plan/indexes.cpp how indexes are used,
// plan/writes.cpp what a ModifyTable moves; plan/expressions.cpp walks expressions, whose kinds plan/expression_table
// lists, plan/calls.cpp knows calls, plan/aggregates.cpp aggregates, plan/subplans.cpp subqueries and plan/columns.cpp
// where values come from. Everything is palloc'd in the current memory context.
#ifndef REDOUBT_PG_PLAN_WALK_H
#define REDOUBT_PG_PLAN_WALK_H

#include "pg/base/each.h"
#include "pg/base/node_walk.h"
#include "pg/plan/analysis.h"
#include "pg/plan/expression_table.h"
#include "pg/plan/memo.h"
#include "pg/plan/meter_node.h"
#include "pg/plan/node_table.h"
#include "pg/protect/protected_columns.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {

// A number or the like, which holds one value; a string or array may hold any number of them.
inline bool is_fixed_size(Oid type) { return get_typlen(type) > 0; }

// May an element or a field of this type hold many values in turn?
bool type_nests(Oid type);

// What is known of an entry of the range table, found out when a walk first meets it.
struct RelationFacts {
  const AppendRelInfo *child;  // what it is a partition or child of, or null
  Index copy;                  // see Source
  bool known;
  bool is_partition;
  bool row_security;
  bool partition_known;
  std::uint32_t partition;  // the sources that the partition of a row tells of
  int size;
  const ProtectedColumn *column;  // ascending by attribute number
  int latest;                     // place in `column` after the last one that was looked for
  int *source;                    // by place: that of the entry's source in the analysis, plus 1; 0: not looked up yet
  Flow *written;                  // of a view that rows are written to: what its columns may hold
  bool keys_known;
  List *keys;  // of Bitmapset: the columns of each primary key, or unique one without nulls
};

// What the catalog says of an index.
struct IndexFacts {
  Oid index;
  bool tells;  // it has a predicate, expressions, or a protected column as a key
  bool predicate;
  bool expressions;
  bool by_value;  // in the order of values (tokens/token_order.h)
  int keys;
  AttrNumber key[INDEX_MAX_KEYS];
};

// How many rows each place stands for that rows share.
struct SharedRows {
  std::uint16_t of[kMaxSources];
  void add(int source, int n) noexcept {  // up to what one row may cost
    of[source] = static_cast<std::uint16_t>(std::min<int>(of[source] + n, kMaxFlowCount - 1));
  }
};

// What is known of a subplan, or of the plan itself, and outlives a walk.
struct SubplanFacts {
  NodeFlow rows;         // as the last walk found them
  std::uint32_t called;  // decides that it is run for an outer row, or how far
  List *open;            // the specs of its meters that have no point above them yet
  const Plan *cte_scan;  // the first scan of it, where it is a CTE
  SharedRows met;        // the rows that it was the first to meet
  SharedRows told;       // the rows that it tells of, with those of the subplans that it uses
};

// The same of a parameter of the executor.
struct ParamFacts {
  Flow flow;
  NodeFlow work_table;  // of a recursion
  int initplan;         // the subplan that computes it when it is first looked at, from 1
};

// Is what is looked at an index's own: what it holds, by its definition, or what a scan asks it for, and gets of it?
// Operator class members compare that, called by the index.
enum class OfIndex : std::uint8_t { no, held, asked };

// One analysis.  Parameters, CTEs and work tables make the plan tree a graph, so it is
// walked until nothing changes; meters are put in during the last walk only.
struct PlanWalk {
  PlannedStmt *plan;
  PlanAnalysis *analysis;
  bool inject;
  bool last;
  bool changed;
  std::uint32_t context;  // decided that the plan at hand is run for an outer row
  int nodes;
  std::uint32_t *turns;  // decides how far a node asks its inputs for rows, or in what turn; by plan_node_id
  MeterPoint points;     // made so far
  List *found;           // the specs of those that are in the plan already
  List *open;            // the specs of those that have no point above them yet, in order
  int open_below;        // how many of them there were before the plan node at hand and what is below it
  OfIndex of_index;
  int params;
  ParamFacts *param;
  int subplans;
  SubplanFacts *subplan;  // and behind them the plan itself
  SubplanFacts *here;     // which of these is walked
  int largest_node_id;
  MemoryContext memory;            // what outlives a walk
  List *foreseen;                  // OIDs, see foresee_function
  List *foreseen_rows[2];          // OIDs of row types whose parts are foreseen: when one is made, and cast
  int walks;                       // begun so far
  RelationFacts *relation;         // by number in the range table
  IndexFacts index;                // that was looked at last
  HTAB *memo;                      // of MemoEntry; null until there is one
  std::uint32_t memo_turn;         // whose entries hold
  HTAB *copied;                    // sources by what they are copies of, see source_copy
  int copies;                      // made so far, beside those that are entries of the range table
  Bitmapset *used;                 // the subplans that the one at hand uses, so far
  const WindowFunc *first_window;  // of the statement
  std::uint32_t terms;             // decided on rows of one or another of the plans that walk_branches has walked last
  int nesting;                     // of the expression at hand in others
  std::uint32_t run;               // the sources that the plan at hand tells of by being run at all
  bool gated;                      // what is above it has a meter of its runs
  bool in_condition;               // a condition of a plan node is looked at, which plan/opened.cpp judges as a whole
};

// Null for an id that the plan does not have.
inline SubplanFacts *subplan_facts(const PlanWalk *walk, int id) {
  return id >= 1 && id <= walk->subplans ? &walk->subplan[id - 1] : nullptr;
}
inline ParamFacts *param_facts(const PlanWalk *walk, int id) {
  return id >= 0 && id < walk->params ? &walk->param[id] : nullptr;
}

// Where an expression is evaluated.
struct ExprScope {
  Plan *plan;
  const NodeFlow *outer;
  const NodeFlow *inner;
  const NodeFlow *index;
  const NodeFlow *scan;
  Index scan_relid;
  const Flow *case_test;        // what a CaseTestExpr stands for
  bool foreign;                 // evaluated by a foreign server
  const Bitmapset *disclosing;  // transition states (aggtransno) whose input is paid for
  bool sometimes;               // for some of the rows only, as a condition says
  std::uint32_t rows;           // decided on the rows at hand
  std::uint32_t taken;          // the same of the rows that the plan takes in
  std::uint32_t order;          // decided on the order in which a scan finds its rows
};

// The same scope where `mask` decided on the rows besides.
inline ExprScope scope_after(const ExprScope &scope, std::uint32_t mask) {
  ExprScope after = scope;
  after.rows |= mask;
  return after;
}

// The type that a pure flow copies from the column of `source`; InvalidOid where it is none.
inline Oid copied_type(const Flow &flow, const Source &source) {
  return flow.pure && OidIsValid(source.relid) && source.opened == Opened::no ? get_atttype(source.relid, source.attno)
                                                                              : InvalidOid;
}

// What a plan node is given: the rows of its inputs, and what its own index and relation hold.
struct Inputs {
  NodeFlow outer, inner, index, scan;
  std::uint32_t sorted;  // by the node, as these sources say
  bool charged;          // each row that the node lets out is charged for one by one, as a row of the answer
};

// plan/nodes.cpp
// `charged` where each row of the plan is charged for one by one, as a row of the answer.
NodeFlow walk_plan(PlanWalk *walk, Plan *plan, bool charged = false);
NodeFlow walk_branches(PlanWalk *walk, const List *plans, bool charged = false);
NodeFlow walk_target_list(PlanWalk *walk, const ExprScope &scope, const List *targets);
// The same for lists of which each makes rows: a row is of one of them.
NodeFlow walk_lists(PlanWalk *walk, const ExprScope &scope, const List *lists);
std::uint32_t walk_quals(PlanWalk *walk, const ExprScope &scope, const List *quals);
// Do the rows come from a sort in its order?  Then that has said what decides on their order.
bool is_sorted(const Plan *plan);
// Columns that the rows of a query are sorted by carry a mark, also where an index has sorted them.
std::uint32_t order_decides(PlanWalk *walk, const NodeFlow *rows, const Plan *plan);
// A hash table hands rows out by the hash of all its keys, whatever they decide.  Those that carry a mark are told by
// it.
std::uint32_t hashed_order(const PlanWalk *walk, const NodeFlow &rows, const Plan *plan, int n, const AttrNumber *keys);
NodeTransfer walk_append, walk_limit, walk_unique, walk_set_operation, walk_locks, walk_sets;

// plan/scans.cpp
// They set what Vars of the scan mean.
NodeTransfer walk_index_scan, walk_index_only_scan, walk_bitmap_scan, walk_subquery, walk_cte, walk_work_table,
    walk_function_scan, walk_table_function, walk_values, walk_foreign, walk_custom;
// How many rows a set has is decided by what it is made from.  (That a function returns tokens
// says nothing about their number.)
std::uint32_t set_decides(PlanWalk *walk, const ExprScope &scope, Node *set);
// A row-level security policy that names an untrusted function is paid for with every row
// of the scan where the planner has folded the call away: it may have called it to do so.
void walk_policies(PlanWalk *walk, Plan *plan);

// plan/grouping.cpp
NodeTransfer walk_aggregation, walk_window, walk_recursion;

// plan/row_keys.cpp
// `input` is the plan that makes `rows`, or a node that takes them from several; they come sorted by the first `sorted`
// keys.
std::uint32_t key_decides(PlanWalk *walk, const NodeFlow *rows, const Plan *input, int n, const AttrNumber *keys,
                          Keys looked_at, int sorted);

// plan/indexes.cpp
// Conditions of an index scan: as written, of which nothing is evaluated unless they are `rechecked` on rows that the
// index has only nearly found, and as executed.
std::uint32_t index_quals(PlanWalk *walk, const ExprScope &scope, List *original, const List *executed,
                          bool rechecked = false);
// What the use of the index decides; `ordered` where its order may.
std::uint32_t index_itself(PlanWalk *walk, Index rti, Oid index, bool ordered);

// What decides on the order in which an index hands a scan its rows.
std::uint32_t index_order(PlanWalk *walk, const Plan *plan);
// The same of what is among the columns of the rows.
std::uint32_t index_order_shown(PlanWalk *walk, const Plan *plan, const NodeFlow &rows);
// What a node that finds rows by indexes, for a scan to fetch them, tells.
NodeFlow walk_bitmap(PlanWalk *walk, const ExprScope &scope, Plan *plan);
// What may decide on how many rows an index finds for a bitmap.
std::uint32_t bitmap_shows(PlanWalk *walk, const BitmapIndexScan *scan);

// plan/expressions.cpp
Flow walk_expression(PlanWalk *walk, const ExprScope &scope, Node *expression);
// All that the expression's children hold.
Flow children_flow(PlanWalk *walk, const ExprScope &scope, Node *node);
Flow list_flow(PlanWalk *walk, const ExprScope &scope, const List *list);
// A copy at an address of its own, by which the memo knows it: what a CaseTestExpr stands for.
const Flow *kept_flow(const Flow &flow);
// What a table function computes besides its document, and besides `past`, one of its lists.
Flow table_rest(PlanWalk *walk, const ExprScope &scope, TableFunc *function, const List *past = NIL);
ExpressionTransfer parameter_flow, case_test_flow, null_test_flow, null_if_flow, case_flow, row_compare_flow,
    subscript_flow, table_flow, array_coerce_flow, field_flow;

// plan/calls.cpp
// Notes a function that the executor will be asked to call where it is not trusted; and those in the checks of domains
// that a value of the type may be made of, or those by which to_json and its kin, and built-in functions in SQL, cast
// it.
void foresee_function(PlanWalk *walk, Oid function);
void foresee_type(PlanWalk *walk, Oid type, bool casts = false);
// The casts by which a function, if it is built in, may print its arguments.
void foresee_casts(PlanWalk *walk, Oid function, const List *arguments);
// What is told by being called or run with the arguments, if it may disclose them or leave a trace of its own.
std::uint32_t handed_probes(const PlanWalk *walk, const ExprScope &scope, const Flow &arguments);
// Meters arguments, which carry `flow`, that are handed to such.  Returns the flow of the result.
Flow hand_over(PlanWalk *walk, const ExprScope &scope, List *arguments, const Flow &flow, std::uint16_t flags);
ExpressionTransfer function_flow, operator_flow, io_cast_flow, domain_flow, xml_flow, json_flow, json_query_flow;
// Is it a call of somebody's own without arguments, which tells by being made?
bool is_bare_call(const PlanWalk *walk, const ExprScope &scope, const Node *node);
// What it returns, where it is paid for.
Flow bare_call_flow(PlanWalk *walk, const ExprScope &scope, const FuncExpr *call);
// A call of `function` that returns `type`, whose arguments carry `flow`.
Flow walk_call(PlanWalk *walk, const ExprScope &scope, Oid function, Oid type, bool returns_set, List *arguments,
               Flow flow);

inline const Node *without_relabelling(const Node *expression) {
  while (IsA(expression, RelabelType))
    expression = reinterpret_cast<const Node *>(reinterpret_cast<const RelabelType *>(expression)->arg);
  return expression;
}

// The planner makes one of the other.
inline const Node *without_collation(const Node *expression) {
  while (IsA(expression = without_relabelling(expression), CollateExpr))
    expression = reinterpret_cast<const Node *>(reinterpret_cast<const CollateExpr *>(expression)->arg);
  return expression;
}

// Is it the column of the only table there is?
inline bool is_column(const Node *node, AttrNumber attno) {
  node = without_relabelling(node);
  return IsA(node, Var) && reinterpret_cast<const Var *>(node)->varattno == attno;
}

// Is a source what a label says, whatever it holds?
inline bool is_labelled(const PlanWalk *walk, int source) {
  return !walk->analysis->source[source].is_token && walk->analysis->source[source].opened == Opened::no;
}
// Of the sources in `mask` those.
inline std::uint32_t labelled_among(const PlanWalk *walk, std::uint32_t mask) {
  for (const int i : bits_of(mask))
    if (!is_labelled(walk, i)) mask &= ~(1U << i);
  return mask;
}

// A token column may be labelled, as the one beside a labelled column is that becomes it: who opens its tokens pays for
// the label, too.
inline Flow flow_still_labelled(const PlanWalk *walk, Flow opened, const Flow &tokens) {
  for (const int i : bits_of(flow_explicit(tokens))) {
    if (!is_labelled(walk, i)) continue;
    opened.count[i] = tokens.count[i];
    opened.paid &= ~(std::uint32_t{1} << i);
  }
  return opened;
}

// Is a value one that holds tokens as such?
inline bool holds_tokens(const Node *value) { return type_carried(exprType(value))->size > 0; }

// plan/opened.cpp: token columns in the place of text.
// The function that opens values of a type, or of a domain over it, inside the server; InvalidOid where there is none.
Oid opening_function(Oid type);
// The implicit cast of a token to its value.
Expr *open_value(Expr *token);
// Is it the cast of a token to its value, as a query has it?
bool is_opening_cast(const FuncExpr *call);
// The same, or the call of redoubt.opened that a plan has in its place.
bool is_opening(const FuncExpr *call);
// Makes a call of the cast one of redoubt.opened, which charges for the value itself or leaves that to the meters.
void make_opened(FuncExpr *call, bool charges);
// The value of a token inside the server.  The cast becomes a call of redoubt.opened.
Flow opened_flow(PlanWalk *walk, const ExprScope &scope, FuncExpr *call);
inline bool is_fingerprint(const Node *node) {
  return calls_placed(node, {Placed::lower_fingerprint, Placed::upper_fingerprint});
}
// In a query, what an index holds tells of values what
// tokens do not; so it is a value that is opened and computed from.
Flow fingerprint_flow(PlanWalk *walk, const ExprScope &scope, const FuncExpr *call);
// The sources in `mask` that are opened values.
std::uint32_t opened_values(const PlanAnalysis *analysis, std::uint32_t mask);
// Does a value hold opened values, and nothing else that is protected?
bool is_opened_only(const PlanAnalysis *analysis, const Flow &flow);
// lower() and upper() of text: of an opened value as good as a copy.
inline bool folds_case(Oid function) { return function == F_LOWER_TEXT || function == F_UPPER_TEXT; }
// Text put to text with ||: fails for none, and is shown to nobody who may not see all of it.
bool is_concatenation(const Node *node);
// Of what decides by a condition of a plan: opened values with which it does no more than compare constants are told
// apart as such.
std::uint32_t condition_decides(PlanWalk *walk, const Node *condition, std::uint32_t mask);
// What the column of tokens tells whose values an index has brought rows in the order of.
std::uint32_t index_compares(PlanWalk *walk, const Flow &tokens, Oid type);
// The same by a sort key, which is compared with its like; not counted where an index has sorted.
std::uint32_t order_compares(PlanWalk *walk, const Flow &flow, bool counts = true);
// How many comparisons of opened values with constants, and sorts by them, a statement makes.
void count_comparisons(PlanWalk *walk, int n);

// plan/columns.cpp
int source_index(PlanWalk *walk, const Source &wanted);
// What `node` (the nth such thing of it) tells of other rows than the rest of its row does: the same sources, each as a
// copy that costs probes of its own.
Flow flow_of_others(PlanWalk *walk, const Flow &flow, const void *node, int nth = 0);
NodeFlow rows_of_others(PlanWalk *walk, const NodeFlow &rows, const void *node);
// What is walked tells of the rows of a subplan besides, from 1.
void tell_of_subplan(PlanWalk *walk, int id);
// What is known of the protected columns of a range table entry; size 0: it has none.
RelationFacts *relation_find_out(PlanWalk *walk, Index rti);
inline RelationFacts *relation_facts(PlanWalk *walk, Index rti) {
  return walk->relation[rti].known ? &walk->relation[rti] : relation_find_out(walk, rti);
}
Flow source_flow(PlanWalk *walk, const Source &source, int count);
// The flow of a column of a range table entry; attno 0 is the whole row.
Flow relation_flow(PlanWalk *walk, Index rti, AttrNumber attno);
// The rows of a scan that hands columns of its table on as they are; not valid for any other.  Columns are looked up
// when they are asked for: most scans have all of their table's, and most statements use a few.
NodeFlow scanned_columns(PlanWalk *walk, const Plan *scan);
// One of them, which may have got a meter meanwhile.
Flow scanned_column(const NodeFlow &rows, AttrNumber attno);
// Are the rows of two scans alike: the same columns of tables that protect them alike, as partitions mostly do?
bool same_columns(const NodeFlow &a, const NodeFlow &b);
// What the partition that a row is in tells: the sources of the keys above it.  A row inserted into a partitioned table
// may be in any below that.
std::uint32_t partition_tells(PlanWalk *walk, Index rti);
// Everything protected in the relations of the statement.
Flow everything(PlanWalk *walk);
ExpressionTransfer variable_flow;

// plan/subplans.cpp
void walk_set_param(PlanWalk *walk, int id, const Flow &flow);
ExpressionTransfer subplan_flow;
void walk_initplan(PlanWalk *walk, const ExprScope &scope, SubPlan *subplan);
// The sources in `mask` decide that the subplan is run, or how far.
void walk_called(PlanWalk *walk, int id, std::uint32_t mask);

// plan/aggregates.cpp
inline bool is_count(Oid aggregate) { return aggregate == F_COUNT_ || aggregate == F_COUNT_ANY; }
// One of PostgreSQL's own that returns the least or the greatest of its inputs, or of bits?
bool is_extreme(Oid aggregate);
ExpressionTransfer aggregate_flow, window_flow;
// What becomes of the rows that a plan's aggregates or window functions take in.
struct TakenRows {
  std::uint32_t decides;  // of the sources that decided on a row, those that a result keeping the row is a probe of
  bool ordered;           // a result tells in what order the rows come in
  Bitmapset *disclosing;  // transition states whose input is carried out
};
// `order` decides on no more than the order in which the rows come.
TakenRows taken_rows(PlanWalk *walk, const ExprScope &scope, std::uint32_t order, const Plan *plan);

// plan/write_checks.cpp: what a row tells by passing the checks of its table, and by its triggers.
// A row as a command leaves it, by attribute number.
struct WrittenRow {
  CmdType command;  // INSERT, UPDATE or DELETE
  Oid relid;
  int columns;
  std::uint32_t *held;   // the sources in each column before
  std::uint32_t *holds;  // and after, but for those that are paid for by writing it
  Bitmapset *written;    // columns that the command sets
};

// What sources a modifying node tells of besides the values that it writes.
struct Told {
  std::uint32_t by_each;  // row
  std::uint32_t by_end;   // that the statement came to an end
};

inline void told_add(Told *told, const Told &other) noexcept {
  told->by_each |= other.by_each;
  told->by_end |= other.by_end;
}

// The row before anything is set: empty, or what was there.
WrittenRow written_row(PlanWalk *walk, CmdType command, Index rti);
void written_row_set(WrittenRow *row, AttrNumber attno, std::uint32_t sources);
// `moved_below` is the partitioned table that an UPDATE moves rows in, or InvalidOid; `options` are those of
// `options_rti`, which may be a partition.
Told written_row_tells(PlanWalk *walk, const ExprScope &scope, const WrittenRow &row, Oid moved_below,
                       const List *options, Index options_rti);

// plan/writes.cpp
void walk_writes(PlanWalk *walk, ModifyTable *modify, const NodeFlow *source);

// plan/insertion.cpp: meters at points of a plan.
// Is the expression a meter of values (flags: 0) or probes (kMeterProbes), of rows or not (kMeterRows), with or without
// others in between?
bool has_meter(const Expr *expression, std::uint16_t flags);

// A value: puts a meter for `flow` around it.  A null costs as a value for sources in `decides`.
void meter_value(PlanWalk *walk, Expr **value, const Flow &flow, std::uint32_t decides, std::uint16_t flags);
// The same for a target list entry of the plan at *slot; inserts a Result node where the plan node there does not
// compute its target list.
void meter_target(PlanWalk *walk, Plan **slot, int position, const Flow &flow, std::uint32_t decides);
// The same for each of a list of arguments, or of a target list, that holds values.
void meter_arguments(PlanWalk *walk, const ExprScope &scope, List *arguments, std::uint16_t flags);

// A row: charges `flow`, or a probe of each source in `probes`, for every row of the plan at *slot.
void meter_row(PlanWalk *walk, Plan **slot, const Flow &flow, std::uint32_t probes);

// A call: charges a probe of each source in `probes` every time that its arguments are evaluated.
void meter_call(PlanWalk *walk, const ExprScope &scope, List *arguments, std::uint32_t probes);
// A run: charges a probe of each source in `probes` every time that the plan, a scan, is begun.  A Result takes its
// place, which asks before it has any row.
void meter_run(PlanWalk *walk, Plan *scan, std::uint32_t probes);
// Is the plan such a Result?
bool is_gate(const Plan *plan);
// meter_call for a call without arguments: the node becomes CASE WHEN <meter> THEN <call> END.
void meter_bare_call(PlanWalk *walk, const ExprScope &scope, FuncExpr *call, std::uint32_t probes);
// A field of a record that a call metered so returns, which EXPLAIN can name of the call only: becomes
// (ROW(CASE WHEN <meter> THEN <call>.field END)).field.
void meter_field(FieldSelect *select);
// Notes a meter that is in the plan already.
void meter_found(PlanWalk *walk, const MeterSpec *meter);
// The call in a CASE that meter_bare_call made, or nothing for any other expression.
const FuncExpr *metered_call(const Node *expression);

}  // namespace redoubt::pg
#endif
