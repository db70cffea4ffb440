// plan/node_table.cpp - see plan/node_table.h.
//
// Where PostgreSQL's versions differ, a row stands under the version's number.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/node_table.h"
#include "pg/plan/walk.h"

namespace redoubt::pg {
namespace {

#define AT REDOUBT_MEMBER

#if PG_VERSION_NUM >= 180000
#define SET_OP_COLUMNS AT(SetOp, cmpColIdx)
#else
#define SET_OP_COLUMNS AT(SetOp, dupColIdx)
#endif

constexpr auto table = NodeRole::table;
constexpr auto scan = NodeRole::scan;
constexpr auto rows = NodeRole::rows;

// clang-format off
constexpr PlanKind kKinds[] = {
    // scans of a table
    {.tag = T_SeqScan, .role = table, .traits = kReadsTable},
    {.tag = T_SampleScan, .role = table, .traits = kReadsTable, .each_row = {AT(SampleScan, tablesample)}},
    {.tag = T_IndexScan, .role = table, .transfer = walk_index_scan, .each_run = AT(IndexScan, indexqual)},
    {.tag = T_IndexOnlyScan, .role = table, .transfer = walk_index_only_scan, .each_run = AT(IndexOnlyScan, indexqual)},
    {.tag = T_BitmapHeapScan, .role = table, .transfer = walk_bitmap_scan},
    {.tag = T_TidScan, .role = table, .traits = kReadsTable, .each_row = {AT(TidScan, tidquals)}},
    {.tag = T_TidRangeScan, .role = table, .traits = kReadsTable, .each_row = {AT(TidRangeScan, tidrangequals)}},
    // other scans
    {.tag = T_SubqueryScan, .role = scan, .transfer = walk_subquery, .plans = AT(SubqueryScan, subplan)},
    {.tag = T_FunctionScan, .role = scan, .transfer = walk_function_scan, .each_run = AT(FunctionScan, functions)},
    {.tag = T_TableFuncScan, .role = scan, .transfer = walk_table_function, .each_run = AT(TableFuncScan, tablefunc)},
    {.tag = T_ValuesScan, .role = scan, .transfer = walk_values, .each_run = AT(ValuesScan, values_lists)},
    {.tag = T_CteScan, .role = scan, .transfer = walk_cte},
    {.tag = T_WorkTableScan, .role = scan, .transfer = walk_work_table},
    {.tag = T_NamedTuplestoreScan, .role = scan},
    {.tag = T_ForeignScan, .role = scan, .transfer = walk_foreign, .each_row = {AT(ForeignScan, fdw_recheck_quals)},
     .each_run = AT(ForeignScan, fdw_exprs)},
    {.tag = T_CustomScan, .role = scan, .transfer = walk_custom, .plans = AT(CustomScan, custom_plans)},
    {.tag = T_BitmapIndexScan, .role = NodeRole::bitmap, .each_run = AT(BitmapIndexScan, indexqual)},
    {.tag = T_BitmapAnd, .role = NodeRole::bitmap, .plans = AT(BitmapAnd, bitmapplans)},
    {.tag = T_BitmapOr, .role = NodeRole::bitmap, .plans = AT(BitmapOr, bitmapplans)},
    // joins
    {.tag = T_NestLoop, .role = rows, .each_row = {AT(NestLoop, join.joinqual)}},
    {.tag = T_MergeJoin, .role = rows, .each_row = {AT(MergeJoin, mergeclauses), AT(MergeJoin, join.joinqual)}},
    {.tag = T_HashJoin, .role = rows,
     .each_row = {AT(HashJoin, hashclauses), AT(HashJoin, hashkeys), AT(HashJoin, join.joinqual)}},
    {.tag = T_Hash, .role = rows, .traits = kReadsAll, .each_row = {AT(Hash, hashkeys)}},
    // rows of several plans
    {.tag = T_Append, .role = rows, .traits = kPassesRows, .transfer = walk_append, .plans = AT(Append, appendplans)},
    {.tag = T_MergeAppend, .role = rows, .transfer = walk_append,
     .keys = {AT(MergeAppend, numCols), AT(MergeAppend, sortColIdx), Keys::in_turn}, .plans = AT(MergeAppend, mergeplans)},
    {.tag = T_RecursiveUnion, .role = rows, .transfer = walk_recursion},
    {.tag = T_SetOp, .role = rows, .transfer = walk_set_operation, .keys = {AT(SetOp, numCols), SET_OP_COLUMNS}},
    // rows put together or in order
    {.tag = T_Agg, .role = rows, .traits = kOtherRows, .transfer = walk_aggregation},
    {.tag = T_Group, .role = rows, .keys = {AT(Group, numCols), AT(Group, grpColIdx)}},
    {.tag = T_WindowAgg, .role = rows, .traits = kOtherRows, .transfer = walk_window,
     .each_row = {AT(WindowAgg, runCondition), AT(WindowAgg, startOffset), AT(WindowAgg, endOffset)}},
    {.tag = T_Unique, .role = rows, .transfer = walk_unique, .keys = {AT(Unique, numCols), AT(Unique, uniqColIdx)}},
    {.tag = T_Sort, .role = rows, .traits = kReadsAll,  // equal ones as they come
     .keys = {AT(Sort, numCols), AT(Sort, sortColIdx), Keys::in_turn}},
    {.tag = T_IncrementalSort, .role = rows,
     .keys = {AT(IncrementalSort, sort.numCols), AT(IncrementalSort, sort.sortColIdx), Keys::in_turn}},
    {.tag = T_GatherMerge, .role = rows,
     .keys = {AT(GatherMerge, numCols), AT(GatherMerge, sortColIdx), Keys::in_turn}},
    // rows as they are, or one by one
    {.tag = T_Gather, .role = rows, .traits = kPassesRows},
    {.tag = T_Material, .role = rows},
    {.tag = T_Memoize, .role = rows, .gate = AT(Memoize, param_exprs)},  // rows that it has already are not made again
    {.tag = T_Result, .role = rows, .traits = kPassesRows, .gate = AT(::Result, resconstantqual),
     .skips = AT(::Result, resconstantqual)},
    {.tag = T_ProjectSet, .role = rows, .traits = kOtherRows, .transfer = walk_sets},
    {.tag = T_LockRows, .role = rows, .traits = kPassesRows, .transfer = walk_locks},
    {.tag = T_Limit, .role = rows, .traits = kPassesRows, .transfer = walk_limit,
     .each_row = {AT(Limit, limitCount), AT(Limit, limitOffset)}, .skips = AT(Limit, limitOffset)},
    {.tag = T_ModifyTable, .role = NodeRole::writes, .traits = kOtherRows | kReadsAll,
     .each_row = {AT(ModifyTable, returningLists), AT(ModifyTable, mergeActionLists)}},
};
// clang-format on

constexpr TagTable kTable(kKinds);

}  // namespace

const PlanKind *plan_kind(const Plan *plan) noexcept { return kTable.find(nodeTag(plan)); }

bool passes_rows_on(const Plan *plan) {
  const PlanKind *kind = plan_kind(plan);
  return kind != nullptr && (kind->traits & kPassesRows) != 0 && plan->qual == NIL &&
         (kind->skips == 0 || member_of(plan, kind->skips) == nullptr);
}

}  // namespace redoubt::pg
